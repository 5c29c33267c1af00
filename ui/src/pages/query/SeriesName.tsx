import { Fragment, memo } from 'react';
import { formatSeries, quote, quoteLabelName, type Labels } from '../../lib/format';
import classes from './query.module.css';

// A series as PromQL writes it, with its label names and values in their colours.
export const SeriesName = memo(function SeriesName({ labels }: { labels: Labels }) {
  const entries = Object.entries(labels).filter(([name]) => name !== '__name__');
  const name = labels['__name__'] ?? '';
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) || name === '';
  if (!plain) return <span className={classes.series}>{formatSeries(labels)}</span>;
  return (
    <span className={classes.series}>
      <b>{name}</b>
      {(entries.length > 0 || name === '') && '{'}
      {entries.map(([key, value], i) => (
        <Fragment key={key}>
          {i > 0 && ', '}
          <i>{quoteLabelName(key)}</i>=<span>{quote(value)}</span>
        </Fragment>
      ))}
      {(entries.length > 0 || name === '') && '}'}
    </span>
  );
});
