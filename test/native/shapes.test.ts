import { shapeSuite } from '../support/shapes.js';

// The one full-size architecture of `npm test`; the others are `npm run test:full`.
shapeSuite({ kind: 'sd1', architecture: 'SD 1.x', latentChannels: 4, threads: 2 });
