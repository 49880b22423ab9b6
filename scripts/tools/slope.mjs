/** At most so many points are fitted; more are reduced to medians of neighbours, which keeps the slope. */
const maxPoints = 300;

/**
 * Robust slope of y over x (Theil-Sen: the median of the slopes of all pairs) with a confidence interval (Sen 1968, from
 * the variance of Kendall's S). Outliers, and growth that stops, do not move it as they move least squares.
 *
 * @param points [x, y] in the order of x, at least 8
 * @param z quantile of the normal distribution; 2.576 gives an interval of 99 %
 */
export function theilSen(points, z = 2.576) {
  if (points.length < 8) throw new RangeError(`${points.length} points are too few for a slope, at least 8 are needed`);
  const reduced = reduce(points);
  const slopes = [];
  for (let i = 0; i < reduced.length; i++) {
    for (let j = i + 1; j < reduced.length; j++) {
      slopes.push((reduced[j][1] - reduced[i][1]) / (reduced[j][0] - reduced[i][0]));
    }
  }
  slopes.sort((a, b) => a - b);
  const n = reduced.length;
  const spread = z * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (rank) => slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(rank)))];
  return {
    slope: median(slopes),
    low: at((slopes.length - spread) / 2),
    high: at((slopes.length + spread) / 2),
  };
}

function reduce(points) {
  const size = Math.ceil(points.length / maxPoints);
  if (size === 1) return points;
  const reduced = [];
  for (let i = 0; i + size <= points.length; i += size) {
    const block = points.slice(i, i + size);
    reduced.push([median(block.map(([x]) => x)), median(block.map(([, y]) => y))]);
  }
  return reduced;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
