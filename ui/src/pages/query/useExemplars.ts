import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { callQuery } from '../../api/client';
import type { ExemplarSeries } from '../../api/types';
import type { ChartMark } from '../../components/Chart';
import { formatSeries, parseValue } from '../../lib/format';

const kNone: ChartMark[] = [];
const kMarksMax = 500; // More would cover the lines.

export function useExemplars(
  expr: string,
  start: number,
  end: number,
  enabled: boolean,
): ChartMark[] {
  const { data } = useQuery({
    queryKey: ['exemplars', expr, start, end],
    enabled,
    queryFn: async ({ signal }) =>
      (
        await callQuery<ExemplarSeries[] | undefined>(
          '/query_exemplars',
          { query: expr, start, end },
          signal,
        )
      ).data ?? [],
  });
  return useMemo(() => {
    if (!enabled || data === undefined) return kNone;
    const marks = data.flatMap(({ exemplars }) =>
      exemplars.map((one) => ({
        time: one.timestamp,
        value: parseValue(one.value),
        text: `exemplar ${formatSeries(one.labels)}`,
      })),
    );
    const every = Math.ceil(marks.length / kMarksMax);
    return marks.filter((_, i) => i % every === 0);
  }, [data, enabled]);
}
