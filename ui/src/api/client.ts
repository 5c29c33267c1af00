// One place that speaks HTTP: addresses, the envelope, errors and notices.

import { globals } from '../lib/globals';

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

export class ApiError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(message: string, type: string, status: number) {
    super(message);
    this.name = 'ApiError';
    this.type = type;
    this.status = status;
  }
}

export type Params = Record<string, string | number | readonly string[] | undefined>;

export function toSearchParams(params: Params): URLSearchParams {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    if (typeof value === 'object') value.forEach((one) => search.append(name, one));
    else search.append(name, String(value));
  }
  return search;
}

export function apiUrl(path: string): string {
  return `${globals.pathPrefix}/api/v1${path}`;
}

// Longer parameters go into a POST body: proxies cut addresses at about 8 kB, some much earlier.
const kUrlBytesMax = 2000;

export async function callApi<T>(
  path: string,
  params: Params = {},
  options: { signal?: AbortSignal; method?: 'GET' | 'POST' } = {},
): Promise<Answer<T>> {
  const search = toSearchParams(params).toString();
  const post = options.method === 'POST';
  const url = search === '' || post ? apiUrl(path) : `${apiUrl(path)}?${search}`;
  let response: Response;
  try {
    response = await fetch(url, {
      method: post ? 'POST' : 'GET',
      cache: 'no-store',
      credentials: 'same-origin',
      headers: { Accept: 'application/json' },
      ...(post ? { body: new URLSearchParams(search) } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('The server cannot be reached.', 'network', 0);
  }
  return readAnswer<T>(response);
}

async function readAnswer<T>(response: Response): Promise<Answer<T>> {
  if (response.status === 204) return { data: undefined as T, warnings: [], infos: [] };
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    const excerpt = text.trim().slice(0, 300) || response.statusText;
    throw new ApiError(`${response.status}: ${excerpt}`, 'http', response.status);
  }
  const envelope = body as {
    status?: string;
    data?: T;
    error?: string;
    errorType?: string;
    warnings?: string[];
    infos?: string[];
  };
  if (envelope.status !== 'success') {
    const message = envelope.error ?? `unexpected answer with status ${response.status}`;
    throw new ApiError(message, envelope.errorType ?? 'http', response.status);
  }
  return {
    data: envelope.data as T,
    warnings: envelope.warnings ?? [],
    infos: envelope.infos ?? [],
  };
}

// Queries are reads, so GET unless the expression is too long for an address.
export function callQuery<T>(
  path: string,
  params: Params,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  const long = toSearchParams(params).toString().length > kUrlBytesMax;
  return callApi<T>(path, params, { method: long ? 'POST' : 'GET', ...(signal ? { signal } : {}) });
}
