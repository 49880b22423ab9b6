export { here, packageRoot } from '../here.js';
