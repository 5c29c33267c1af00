// What the server tells the page when it serves it, and where the page is mounted.

export const kPages = [
  'query',
  'machine',
  'alerts',
  'rules',
  'targets',
  'service-discovery',
  'alertmanager-discovery',
  'status',
  'tsdb-status',
  'config',
  'flags',
  'agent',
] as const;

export type PageName = (typeof kPages)[number];

// Every page lies directly below the route prefix, so the prefix is the path without the page's
// own name. "/prom/query" and "/prom/" both give "/prom"; "/query" gives "".
export function derivePrefix(pathname: string): string {
  const parts = pathname.replace(/\/+$/, '').split('/');
  const last = parts[parts.length - 1] ?? '';
  if ((kPages as readonly string[]).includes(last)) parts.pop();
  return parts.join('/');
}

// A placeholder that nobody replaced (the development server) counts as absent.
export function metaOr(content: string | null | undefined, fallback: string): string {
  if (content === null || content === undefined || content.endsWith('_PLACEHOLDER'))
    return fallback;
  return content;
}

function readMeta(name: string, fallback: string): string {
  if (typeof document === 'undefined') return fallback;
  const node = document.querySelector(`meta[name="narthex:${name}"]`);
  return metaOr(node?.getAttribute('content'), fallback);
}

export const globals = {
  pathPrefix: typeof window === 'undefined' ? '' : derivePrefix(window.location.pathname),
  consolesLink: readMeta('consoles-link', ''),
  agentMode: readMeta('agent-mode', 'false') === 'true',
  ready: readMeta('ready', 'true') === 'true',
  lookbackDelta: readMeta('lookback-delta', '5m'),
};
