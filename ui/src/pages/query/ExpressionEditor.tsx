import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from '@codemirror/autocomplete';
import {
  defaultKeymap,
  history,
  historyKeymap,
  insertNewlineAndIndent,
} from '@codemirror/commands';
import { bracketMatching, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { Compartment, EditorState, Prec, type Extension } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { forwardRef, useEffect, useImperativeHandle, useRef } from 'react';
import { settings, type Settings } from '../../lib/settings';
import classes from './query.module.css';
import { editorTheme, promqlColors } from './editorTheme';
import { promqlExtension } from './promqlExtension';

export interface EditorHandle {
  insert: (text: string) => void;
  focus: () => void;
}

interface Props {
  value: string;
  onChange: (value: string) => void;
  onExecute: () => void;
  autoFocus: boolean;
}

const kFixed: Extension[] = [
  history(),
  indentOnInput(),
  bracketMatching(),
  closeBrackets(),
  EditorView.lineWrapping,
  editorTheme,
  syntaxHighlighting(promqlColors),
  keymap.of([
    ...closeBracketsKeymap,
    ...defaultKeymap,
    ...historyKeymap,
    ...completionKeymap,
    ...lintKeymap,
  ]),
  placeholder('Expression. Enter executes, Shift+Enter makes a new line'),
  EditorView.contentAttributes.of({ 'aria-label': 'PromQL expression', spellcheck: 'false' }),
];

function changeable({ autocomplete, linter }: Settings): Extension {
  return [promqlExtension(linter), autocomplete ? autocompletion({ icons: true }) : []];
}

const ExpressionEditor = forwardRef<EditorHandle, Props>(function ExpressionEditor(props, ref) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const options = useRef(new Compartment());
  const latest = useRef(props);
  latest.current = props;
  const current = settings.use();

  useEffect(() => {
    // Enter belongs to an open completion list first, to the query otherwise. Tab completes, and
    // leaves the editor when there is nothing to complete.
    const keys = Prec.high(
      keymap.of([
        { key: 'Tab', run: acceptCompletion },
        {
          key: 'Enter',
          run: () => {
            latest.current.onExecute();
            return true;
          },
          shift: insertNewlineAndIndent,
        },
      ]),
    );
    const created = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          keys,
          kFixed,
          options.current.of(changeable(settings.get())),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = created;
    if (latest.current.autoFocus) created.focus();
    return () => created.destroy();
  }, []);

  const { autocomplete, linter } = current;
  useEffect(() => {
    view.current?.dispatch({
      effects: options.current.reconfigure(changeable({ ...settings.get(), autocomplete, linter })),
    });
  }, [autocomplete, linter]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || editor.state.doc.toString() === props.value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: props.value } });
  }, [props.value]);

  useImperativeHandle(ref, () => ({
    insert(text) {
      const editor = view.current;
      if (editor === null) return;
      editor.dispatch(editor.state.replaceSelection(text));
      editor.focus();
    },
    focus: () => view.current?.focus(),
  }));

  return <div ref={host} className={classes.editor} />;
});

export default ExpressionEditor;
