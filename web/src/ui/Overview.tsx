import { useSignalEffect } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { type HostRow, type Reading, SPARK } from '../model/overview.ts';
import { sinceText } from '../model/times.ts';
import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** How the machines are at a glance: the readings of one host, or a row for each of several. */
export function Overview({ page }: { page: Page }) {
  return page.board.panels.value.some(panel => panel.vital) ? <Present page={page} /> : null;
}

function Present({ page }: { page: Page }) {
  const place = useRef<HTMLElement>(null);
  const { overview } = page;
  useLayoutEffect(() => page.presence.watch(place.current!, present => overview.setPresent(present)), []);
  useSignalEffect(() => {
    void page.window.value;
    overview.windowChanged();
  });
  const rows = overview.rows.value;
  const host = page.host.value;
  const chosen = host === null ? rows : rows.filter(row => row.host === host);
  return (
    <section
      class="overview"
      data-past={!!page.time.fixed.value || undefined}
      aria-label={texts.OVERVIEW}
      ref={place}
    >
      {chosen.length === 1 && <Readings page={page} row={chosen[0]!} />}
      {chosen.length > 1 && <Hosts page={page} rows={chosen} />}
      {overview.crowded.value && chosen.length > 1 && <p class="note">{texts.MORE_HOSTS}</p>}
    </section>
  );
}

/** The readings of one host. A click brings their chart into sight. */
function Readings({ page, row }: { page: Page; row: HostRow }) {
  return (
    <ul class={row.silentSince === null ? 'readings' : 'readings silent'}>
      {row.readings.map(reading => (
        <li key={reading.id}>
          <button
            type="button"
            title={texts.readingOf(reading.title, row.host)}
            onClick={() => page.reveal(reading.id)}
          >
            <span class="name">
              {reading.title}
              <Now page={page} />
            </span>
            <span class="value">
              {reading.value} <small>{reading.of}</small>
            </span>
            <Spark reading={reading} />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Says that the values are of now, where the charts below are not. */
function Now({ page }: { page: Page }) {
  return page.time.fixed.value && <small> {texts.NOW}</small>;
}

/** A row for each host. A click on its name shows its charts. */
function Hosts({ page, rows }: { page: Page; rows: readonly HostRow[] }) {
  const now = page.clock.now();
  return (
    <table class="hosts">
      <thead>
        <tr>
          <th scope="col">
            {texts.HOST}
            <Now page={page} />
          </th>
          {rows[0]!.readings.map(({ id, title }) => (
            <th key={id} scope="col" class={id}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ host, silentSince, readings }) => (
          <tr key={host} class={silentSince === null ? '' : 'silent'}>
            <th scope="row">
              <button type="button" title={texts.chartsOf(host)} onClick={() => page.chooseHost(host)}>
                <span class="lamp" aria-hidden="true" />
                {host}
              </button>
              {silentSince !== null && (
                <small>
                  {' '}
                  {texts.SILENT}{' '}
                  {Number.isFinite(silentSince) ? texts.since(sinceText(silentSince, now)) : texts.FOR_LONGER}
                </small>
              )}
            </th>
            {readings.map(reading => (
              <td key={reading.id} class={reading.id} title={reading.of && `${reading.value} ${reading.of}`}>
                <div>
                  <Spark reading={reading} />
                  <span class="value">{reading.value}</span>
                </div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Spark({ reading }: { reading: Reading }) {
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${SPARK.width} ${SPARK.height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={reading.path} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
