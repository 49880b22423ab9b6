import { fileURLToPath } from 'node:url';
import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const root = fileURLToPath(new URL('.', import.meta.url));

/** Rooms of lib/ and the rooms each may import from: dependencies point one way. */
const rooms = {
  errors: [],
  options: ['errors'],
  native: ['options', 'errors'],
  memory: ['options', 'errors'],
  isolation: ['native', 'options', 'errors'],
  image: ['options', 'errors'],
  model: ['native', 'options', 'errors'],
  weights: ['model', 'native', 'options', 'errors'],
  pipeline: ['weights', 'image', 'model', 'memory', 'native', 'options', 'errors'],
  sdk: ['pipeline', 'weights', 'image', 'model', 'memory', 'isolation', 'native', 'options', 'errors'],
  bench: ['sdk', 'pipeline', 'weights', 'image', 'model', 'memory', 'native', 'options', 'errors'],
  cli: ['bench', 'sdk', 'pipeline', 'weights', 'image', 'model', 'memory', 'native', 'options', 'errors'],
};

/** One rule per room: an import that climbs out of the room must name a room below it. */
const arrows = Object.entries(rooms).map(([room, below]) => ({
  files: [`lib/${room}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: `^(?:\\.\\./)+(?:index\\.js|(?:${Object.keys(rooms)
              .filter((other) => other !== room && !below.includes(other))
              .join('|')})/)`,
            message: `lib/${room} may import only from ${[room, ...below].join(', ')}: dependencies point one way.`,
          },
        ],
      },
    ],
  },
}));

export default defineConfig(
  globalIgnores(['dist/', 'build/', 'build-*/', 'prebuilds/', 'native/vendor/', 'coverage/']),
  js.configs.recommended,
  { rules: { 'max-lines': ['error', { max: 400 }], eqeqeq: 'error', 'no-console': 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: root } },
    rules: { '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }] },
  },
  {
    files: ['lib/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      // `x!` is banned by the strict set, so the narrower `x as T` stays allowed where an index is known to be in range.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // An async function without await turns a thrown error into a rejection, which callers of promises expect.
      '@typescript-eslint/require-await': 'off',
      // The reason of an AbortSignal may be anything and is passed on as it is.
      '@typescript-eslint/only-throw-error': ['error', { allowRethrowing: true, allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
    },
  },
  {
    // Promises that nobody waits for are the commonest bug of tests.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'error' },
  },
  {
    files: ['**/*.mjs', '*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'performance',
          'console',
          'URL',
          'Buffer',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'setImmediate',
          'fetch',
          'AbortController',
          'AbortSignal',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  { files: ['bench/**', 'lib/cli/**'], rules: { 'no-console': 'off' } },
  ...arrows,
);
