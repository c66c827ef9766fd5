// Loads packages from where the tests install them, which is not beside these files.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(process.env.TEST_PACKAGES + '/package.json'));

export const load = (name) => import(pathToFileURL(require.resolve(name)).href);
