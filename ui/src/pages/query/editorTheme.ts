import { HighlightStyle } from '@codemirror/language';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';

// All colours are custom properties, so that one theme serves light and dark.
export const editorTheme = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent', color: 'var(--nx-text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--nx-mono)', lineHeight: '20px' },
  '.cm-content': { padding: '5px 0', caretColor: 'var(--nx-text)' },
  '.cm-line': { padding: '0 8px' },
  '.cm-cursor': { borderLeftColor: 'var(--nx-text)' },
  '.cm-placeholder': { color: 'var(--nx-dim)' },
  '&.cm-focused .cm-matchingBracket, .cm-matchingBracket': {
    backgroundColor: 'color-mix(in srgb, var(--nx-accent) 28%, transparent)',
  },
  '&.cm-focused .cm-nonmatchingBracket': {
    backgroundColor: 'color-mix(in srgb, var(--nx-bad) 28%, transparent)',
  },
  '.cm-selectionBackground, &.cm-focused .cm-selectionBackground, ::selection': {
    backgroundColor: 'color-mix(in srgb, var(--nx-info) 28%, transparent) !important',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--nx-surface)',
    border: '1px solid var(--nx-border-strong)',
    borderRadius: '5px',
    boxShadow: '0 6px 20px rgba(0, 0, 0, 0.18)',
    color: 'var(--nx-text)',
    overflow: 'hidden',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--nx-mono)',
    fontSize: '12px',
    maxHeight: '320px',
    minWidth: '320px',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px', lineHeight: '18px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': {
    backgroundColor: 'color-mix(in srgb, var(--nx-accent) 24%, var(--nx-surface))',
    color: 'var(--nx-text)',
  },
  '.cm-completionMatchedText': {
    textDecoration: 'none',
    fontWeight: '700',
    color: 'var(--nx-flame)',
  },
  '.cm-completionDetail': {
    float: 'right',
    paddingLeft: '16px',
    color: 'var(--nx-dim)',
    fontStyle: 'normal',
  },
  '.cm-completionIcon': { width: '1.2em', opacity: '0.7', paddingRight: '0.4em' },
  '.cm-completionIcon-aggregation::after': { content: "'Σ'" },
  '.cm-completionIcon-metric::after': { content: "'m'" },
  '.cm-tooltip.cm-completionInfo': {
    padding: '8px 10px',
    maxWidth: '340px',
    whiteSpace: 'pre-wrap',
  },
  '.cm-diagnostic': { padding: '5px 10px', maxWidth: '560px' },
  '.cm-diagnostic-error': { borderLeft: '3px solid var(--nx-bad)' },
  '.cm-diagnostic-warning': { borderLeft: '3px solid var(--nx-flame)' },
});

export const promqlColors = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--cm-keyword)' },
  { tag: tags.operatorKeyword, color: 'var(--cm-keyword)' },
  { tag: tags.modifier, color: 'var(--cm-keyword)' },
  { tag: tags.function(tags.variableName), color: 'var(--cm-function)' },
  { tag: tags.string, color: 'var(--cm-string)' },
  { tag: tags.number, color: 'var(--cm-number)' },
  { tag: tags.variableName, color: 'var(--cm-metric)' },
  { tag: tags.labelName, color: 'var(--cm-label)' },
  { tag: tags.operator, color: 'var(--cm-operator)' },
  { tag: tags.lineComment, color: 'var(--cm-comment)', fontStyle: 'italic' },
  { tag: tags.invalid, color: 'var(--nx-bad)' },
]);
