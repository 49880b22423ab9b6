/** A suite's result as a table for people. */
export function formatSuite({ name, title, compared, repeat, rows, goals }) {
  const cells = rows.map((row) => [row.name, number(row.median), number(row.min), number(row.max), row.unit]);
  const table = [['', 'median', 'min', 'max', ''], ...cells];
  const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
  const lines = table.map((line) =>
    line
      .map((cell, column) =>
        column === 0 || column === 4 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
  return [`\n${name}: ${title} (${repeat} runs)`, compared, '', ...lines, '', ...goals.map(formatGoal)].join('\n');
}

function formatGoal(goal) {
  const { name, actual, relation, limit, unit, met } = goal;
  return `${met ? 'met' : 'MISSED'}: ${name} ${number(actual)} ${unit}, goal ${relation} ${limit} ${unit}`;
}

export function missedGoals(results) {
  return results.flatMap(({ name, goals }) =>
    goals.filter(({ met }) => !met).map((goal) => ({ suite: name, goal: formatGoal(goal) })),
  );
}

function number(value) {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(3);
}
