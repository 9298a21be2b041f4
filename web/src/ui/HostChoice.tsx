import { byKey } from '../model/labels.ts';
import type { Page } from '../page/page.ts';
import * as texts from '../texts.ts';

/** The host whose charts are shown: its name where there is one, a choice where there are several. */
export function HostChoice({ page }: { page: Page }) {
  const hosts = page.hosts.value;
  const host = page.host.value;
  if (hosts.length === 0 && host === null) return null;
  if (hosts.length <= 1 && (host === null || hosts.includes(host))) return <p class="host">{hosts[0]}</p>;
  const all = [...new Set(host === null ? hosts : [...hosts, host])].sort(byKey);
  return (
    <select
      class="host"
      aria-label={texts.HOST}
      value={host ?? ''}
      onChange={event => page.chooseHost(event.currentTarget.value || null)}
    >
      <option value="">{texts.ALL_HOSTS}</option>
      {all.map(name => (
        <option key={name} value={name}>
          {page.silent.value.has(name) ? texts.isSilent(name) : name}
        </option>
      ))}
    </select>
  );
}
