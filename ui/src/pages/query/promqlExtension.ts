import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import type { Extension } from '@codemirror/state';
import {
  PromQLExtension,
  newCompleteStrategy,
  type CompleteStrategy,
} from '@prometheus-io/codemirror-promql';
import { globals } from '../../lib/globals';
import { queryHistory } from '../../lib/history';
import { settings } from '../../lib/settings';

const kHistoryShown = 20;

// The completions of codemirror-promql (functions, metrics, labels from the server), and at the
// start of an expression also the queries that were run before.
class WithHistory implements CompleteStrategy {
  private readonly inner: CompleteStrategy;

  constructor(inner: CompleteStrategy) {
    this.inner = inner;
  }

  async promQL(context: CompletionContext): Promise<CompletionResult | null> {
    const result = await this.inner.promQL(context);
    if (!settings.get().queryHistory || context.state.doc.length > 60) return result;
    const typed = context.state.doc.toString();
    // Mid-expression a whole former query would not fit.
    if (/[^\w:]/.test(typed.trim()) || (result !== null && result.from !== 0 && typed !== ''))
      return result;
    const former = queryHistory
      .get()
      .slice(0, kHistoryShown)
      .map((expr) => ({
        label: expr.length > 80 ? `${expr.slice(0, 79)}…` : expr,
        apply: expr,
        detail: 'history',
        type: 'text',
        boost: -99,
        ...(expr.length > 80 ? { info: expr } : {}),
      }));
    if (former.length === 0) return result;
    if (result === null) return { from: 0, to: context.pos, options: former };
    return { ...result, options: [...result.options, ...former] };
  }
}

let shared: CompleteStrategy | null = null;

// One strategy for all panels: its cache of metric names and metadata is worth keeping.
function strategy(): CompleteStrategy {
  shared ??= new WithHistory(
    newCompleteStrategy({
      remote: { url: globals.pathPrefix, cache: { maxAge: 60_000 } },
    }),
  );
  return shared;
}

export function promqlExtension(linter: boolean): Extension {
  return new PromQLExtension()
    .activateLinter(linter)
    .setComplete({ completeStrategy: strategy() })
    .asExtension();
}
