/** What every failure of this package throws: one line that says what is wrong and what to do. */
export class LocalVQEError extends Error {
  constructor(message) {
    super(message);
    this.name = 'LocalVQEError';
  }
}
