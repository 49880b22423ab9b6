export const oneHeap: {
  readonly env: Readonly<Record<string, string>>;
  readonly nodeOptions: readonly string[];
};
