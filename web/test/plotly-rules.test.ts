import { expect, test } from 'vitest';
import { plotlyRules } from '../build/plotly-rules.ts';

const SOURCE = `
  var rules = {"X,X div":"margin:0;", "X .main-svg":'font:"Open Sans";', "Y .note":"top:0;"};
  id = "plotly.js-style-" + uid; if (!element.matches(".no-inline-styles")) {}
`;

test('rules come in the order in which they cascade: Plotly inserts each before the others', () => {
  expect(plotlyRules(SOURCE)).toBe(
    '.plotly-notifier .note{top:0;}\n' +
      '.js-plotly-plot .plotly .main-svg{font:"Open Sans";}\n' +
      '.js-plotly-plot .plotly,.js-plotly-plot .plotly div{margin:0;}\n',
  );
});

test('a Plotly without the table, or without the way around it, fails the build', () => {
  expect(() => plotlyRules('')).toThrow('adapt build/plotly-rules.ts');
  expect(() => plotlyRules(SOURCE.replace('.no-inline-styles', ''))).toThrow('adapt build/plotly-rules.ts');
});
