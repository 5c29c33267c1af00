import { useVirtualizer, useWindowVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { uiClasses as classes } from './ui';

interface Props {
  count: number;
  estimate: (index: number) => number;
  rowKey: (index: number) => string | number;
  render: (index: number) => ReactNode;
}

// Rows of any height that scroll with the window; only the visible ones exist in the document.
export function WindowRows({ count, estimate, rowKey, render }: Props) {
  const outer = useRef<HTMLDivElement>(null);
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const top = outer.current?.getBoundingClientRect().top ?? 0;
    setMargin(top + window.scrollY);
  }, [count]);
  const rows = useWindowVirtualizer({
    count,
    estimateSize: estimate,
    getItemKey: rowKey,
    overscan: 8,
    scrollMargin: margin,
  });
  return (
    <div ref={outer} className={classes.virtual} style={{ height: rows.getTotalSize() }}>
      {rows.getVirtualItems().map((item) => (
        <div
          key={item.key}
          data-index={item.index}
          ref={rows.measureElement}
          className={classes.virtualRow}
          style={{ transform: `translateY(${item.start - margin}px)` }}
        >
          {render(item.index)}
        </div>
      ))}
    </div>
  );
}

// The same inside a box of limited height with its own scroll bar.
export function BoxRows({
  maxHeight,
  label,
  ...props
}: Props & { maxHeight: string; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: props.count,
    getScrollElement: () => box.current,
    estimateSize: props.estimate,
    getItemKey: props.rowKey,
    overscan: 12,
  });
  return (
    <div
      ref={box}
      tabIndex={0}
      role="region"
      aria-label={label}
      style={{ maxHeight, overflow: 'auto', contain: 'content' }}
    >
      <div className={classes.virtual} style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => (
          <div
            key={item.key}
            data-index={item.index}
            ref={rows.measureElement}
            className={classes.virtualRow}
            style={{ transform: `translateY(${item.start}px)` }}
          >
            {props.render(item.index)}
          </div>
        ))}
      </div>
    </div>
  );
}
