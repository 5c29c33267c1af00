// The small parts that every page is made of.

import { ActionIcon } from '@mantine/core';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Link } from 'react-router-dom';
import { formatNotice } from '../lib/notices';
import { quoteLabelName, type Labels } from '../lib/format';
import { queryPath } from '../lib/panels';
import { Icon } from './Icon';
import classes from './ui.module.css';

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'mute';

interface PageProps {
  title: string;
  extra?: ReactNode;
  tools?: ReactNode;
  children: ReactNode;
}

export function Page({ title, extra, tools, children }: PageProps) {
  return (
    <div className={classes.page}>
      <div className={classes.head}>
        <h1 className={classes.title}>{title}</h1>
        {extra !== undefined && <div className={classes.headExtra}>{extra}</div>}
        {tools !== undefined && <div className={classes.headTools}>{tools}</div>}
      </div>
      {children}
    </div>
  );
}

export function Card({ title, children }: { title?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.card}>
      {title !== undefined && <h2 className={classes.cardTitle}>{title}</h2>}
      {children}
    </section>
  );
}

export function Pill({
  tone,
  children,
  title,
}: {
  tone: Tone;
  children: ReactNode;
  title?: string;
}) {
  return (
    <span className={classes.pill} data-tone={tone} title={title}>
      {children}
    </span>
  );
}

export function LabelList({ labels, omit }: { labels: Labels; omit?: readonly string[] }) {
  const entries = Object.entries(labels).filter(([name]) => !omit?.includes(name));
  return (
    <div className={classes.labels}>
      {entries.map(([name, value]) => (
        <span key={name} className={classes.label}>
          <b>{quoteLabelName(name)}</b>=<span>&quot;{value}&quot;</span>
        </span>
      ))}
    </div>
  );
}

export function Notice({ tone, children }: { tone: 'bad' | 'warn' | 'info'; children: ReactNode }) {
  return (
    <div className={classes.notice} data-tone={tone} role={tone === 'bad' ? 'alert' : 'status'}>
      <div>{children}</div>
    </div>
  );
}

export function ErrorNotice({ error }: { error: Error }) {
  return <Notice tone="bad">{formatNotice(error)}</Notice>;
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className={classes.empty}>{children}</div>;
}

export function BusyBar({ busy }: { busy: boolean }) {
  return <div className={classes.skeleton} data-busy={busy || undefined} aria-hidden="true" />;
}

// What a page shows of one API call: progress at first, the error, or the data.
export function Loaded<T>({
  query,
  children,
}: {
  query: { data: T | undefined; error: Error | null; isPending: boolean };
  children: (data: T) => ReactNode;
}) {
  return (
    <>
      {query.error !== null && <ErrorNotice error={query.error} />}
      {query.isPending && <BusyBar busy />}
      {query.data !== undefined && children(query.data)}
    </>
  );
}

export function CopyButton({
  text,
  label = 'Copy',
}: {
  text: string | (() => string);
  label?: string;
}) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await copyText(typeof text === 'string' ? text : text());
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1200);
  };
  return (
    <ActionIcon
      size="sm"
      variant="subtle"
      color={copied ? 'fennel' : 'gray'}
      aria-label={copied ? 'Copied' : label}
      title={copied ? 'Copied' : label}
      onClick={() => void copy()}
    >
      <Icon name={copied ? 'check' : 'copy'} size={14} />
    </ActionIcon>
  );
}

// navigator.clipboard exists only on secure origins; plain HTTP falls back to a hidden text area.
async function copyText(text: string) {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.style.position = 'fixed';
  area.style.opacity = '0';
  document.body.appendChild(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

interface DisclosureProps {
  open: boolean;
  onToggle: () => void;
  children: ReactNode;
}

export function Disclosure({ open, onToggle, children }: DisclosureProps) {
  return (
    <button type="button" className={classes.disclosure} aria-expanded={open} onClick={onToggle}>
      <span className={classes.chevron}>
        <Icon name="chevron" size={12} />
      </span>
      {children}
    </button>
  );
}

// An expression that opens on the query page.
export function ExprLink({ expr, tab = 'table' }: { expr: string; tab?: 'table' | 'graph' }) {
  return (
    <Link className={classes.exprBlock} to={queryPath(expr, tab)} title="Open on the query page">
      {expr}
    </Link>
  );
}

export function FactTable({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <table className={classes.table}>
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export { classes as uiClasses };
