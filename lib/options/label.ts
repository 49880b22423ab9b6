/**
 * The label of a name; undefined for anything that is no name of the table, what every object inherits among it
 * (`__proto__`, `constructor`).
 */
export function labelOf<Name extends string>(
  labels: Readonly<Record<Name, string>>,
  name: unknown,
): string | undefined {
  return typeof name === 'string' && Object.hasOwn(labels, name) ? labels[name as Name] : undefined;
}
