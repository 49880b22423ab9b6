/**
 * Runs `work`; a process or worker thread that exits meanwhile (`process.exit`, an uncaught exception) runs `cleanUp`
 * first, which must not wait for anything. A killed process and a terminated thread run nothing.
 */
export async function cleaningAtExit<T>(cleanUp: () => void, work: () => Promise<T>): Promise<T> {
  process.once('exit', cleanUp);
  try {
    return await work();
  } finally {
    process.removeListener('exit', cleanUp);
  }
}
