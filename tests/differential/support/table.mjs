// The outcomes, counted.

export function table(title, results, by, outcome) {
  const rows = new Map();
  const outcomes = new Set();
  for (const result of results) {
    const [row, column] = [by(result), outcome(result)];
    outcomes.add(column);
    if (!rows.has(row)) rows.set(row, new Map());
    rows.get(row).set(column, (rows.get(row).get(column) ?? 0) + 1);
  }
  const columns = [...outcomes].sort();
  const cells = (first, rest) => first.padEnd(20) + rest.map((cell) => String(cell).padStart(10)).join("");
  const lines = [...rows].sort().map(([row, counts]) => cells(row, columns.map((column) => counts.get(column) ?? 0)));
  return [cells(title, columns), ...lines].join("\n");
}
