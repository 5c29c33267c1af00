// How errors and the annotations of queries read on the page.

import { ApiError } from '../api/client';

const kErrorNames: Record<string, string> = {
  bad_data: 'Bad request',
  execution: 'Error executing the query',
  canceled: 'Canceled',
  timeout: 'Timed out',
  internal: 'Internal error',
  not_found: 'Not found',
  unavailable: 'Unavailable',
  cost_limit: 'Too expensive',
};

export function formatNotice(error: Error): string {
  if (!(error instanceof ApiError)) return error.message;
  const name = kErrorNames[error.type];
  return name === undefined ? error.message : `${name}: ${error.message}`;
}

// The page shows by tone whether it is a warning, so the prefix of the text says nothing new.
export function stripPrefix(text: string): string {
  return text.replace(/^PromQL (warning|info): /, '');
}
