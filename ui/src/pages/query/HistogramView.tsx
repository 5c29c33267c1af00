import { SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import type { Histogram } from '../../api/types';
import { plural } from '../../lib/format';
import { formatBucketRange, layoutBars, type HistogramScale } from '../../lib/histogram';
import classes from './query.module.css';

const kHeight = 90;

export function HistogramView({ histogram }: { histogram: Histogram }) {
  const [scale, setScale] = useState<HistogramScale>('exponential');
  const [open, setOpen] = useState(false);
  const buckets = histogram.buckets ?? [];
  const bars = layoutBars(buckets, scale);
  return (
    <div className={classes.histogram}>
      <div className={classes.histogramHead}>
        <span>
          count {histogram.count}, sum {histogram.sum}
        </span>
        <SegmentedControl
          size="xs"
          aria-label="Scale of the histogram"
          value={scale}
          onChange={(value) => setScale(value as HistogramScale)}
          data={[
            { value: 'exponential', label: 'Log' },
            { value: 'linear', label: 'Linear' },
          ]}
        />
      </div>
      {bars.length > 0 && (
        <svg
          viewBox={`0 0 1000 ${kHeight}`}
          preserveAspectRatio="none"
          width="100%"
          height={kHeight}
          role="img"
          aria-label={`Histogram of ${plural(buckets.length, 'bucket')}`}
        >
          {bars.map((bar) => (
            <rect
              key={bar.bucket[1]}
              x={bar.left * 10}
              width={Math.max(bar.width * 10 - 1, 1.5)}
              y={kHeight - Math.max((bar.height * kHeight) / 100, 1)}
              height={Math.max((bar.height * kHeight) / 100, 1)}
              fill="var(--nx-accent)"
              opacity={0.8}
            >
              <title>
                {formatBucketRange(bar.bucket)}: {bar.bucket[3]}
              </title>
            </rect>
          ))}
          <line
            x1="0"
            x2="1000"
            y1={kHeight - 0.5}
            y2={kHeight - 0.5}
            stroke="var(--nx-border-strong)"
          />
        </svg>
      )}
      {bars.length > 0 && (
        <div className={`${classes.histogramHead} dim`}>
          <span>{buckets[0]![1]}</span>
          <span>{buckets[buckets.length - 1]![2]}</span>
        </div>
      )}
      {buckets.length > 0 && (
        <button
          type="button"
          className={classes.sort}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? 'Hide buckets' : `Show ${plural(buckets.length, 'bucket')}`}
        </button>
      )}
      {open &&
        buckets.map((bucket) => (
          <div key={bucket[1]} className={classes.histogramHead}>
            <span>{formatBucketRange(bucket)}</span>
            <span>{bucket[3]}</span>
          </div>
        ))}
    </div>
  );
}
