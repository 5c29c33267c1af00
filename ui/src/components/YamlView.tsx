import { yaml } from '@codemirror/lang-yaml';
import { foldGutter, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';

const kColors = HighlightStyle.define([
  { tag: tags.propertyName, color: 'var(--cm-function)' },
  { tag: tags.definition(tags.propertyName), color: 'var(--cm-function)' },
  { tag: tags.string, color: 'var(--cm-string)' },
  { tag: tags.content, color: 'var(--nx-text)' },
  { tag: tags.lineComment, color: 'var(--cm-comment)' },
  { tag: tags.punctuation, color: 'var(--cm-operator)' },
]);

const kTheme = EditorView.theme({
  '&': { backgroundColor: 'transparent', color: 'var(--nx-text)', fontSize: '12px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--nx-mono)', lineHeight: '18px' },
  '.cm-gutters': {
    backgroundColor: 'transparent',
    borderRight: '1px solid var(--nx-border)',
    color: 'var(--nx-dim)',
  },
  '.cm-foldPlaceholder': {
    backgroundColor: 'var(--nx-mute-bg)',
    border: '0',
    color: 'var(--nx-dim)',
  },
});

// Read-only text with folding; only the visible lines are in the document, so that a
// configuration of fifty thousand lines opens at once.
export default function YamlView({ text, maxHeight }: { text: string; maxHeight: string }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const view = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: text,
        extensions: [
          yaml(),
          lineNumbers(),
          foldGutter(),
          syntaxHighlighting(kColors),
          kTheme,
          EditorView.theme({ '&': { maxHeight }, '.cm-scroller': { overflow: 'auto' } }),
          EditorState.readOnly.of(true),
          EditorView.contentAttributes.of({
            'aria-label': 'Configuration',
            'aria-readonly': 'true',
          }),
        ],
      }),
    });
    return () => view.destroy();
  }, [maxHeight, text]);
  return <div ref={host} />;
}
