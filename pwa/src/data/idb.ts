/**
 * IndexedDB itself, as promises: for the service worker, which brings no library along, and for what a hand waits for,
 * where each step of Dexie's costs a slow phone more than the storage behind it.
 */

/** What a request answers. */
export function answer<T>(asked: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result as T);
    asked.onerror = () => reject(asked.error!);
  });
}

/** Resolves when all of a transaction is stored, as durably as it was asked for; rejects when none of it is. */
export function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new DOMException('not written', 'AbortError'));
  });
}

/** All or nothing: what was asked for in it is not stored either. */
export function abandon(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has failed already.
  }
}
