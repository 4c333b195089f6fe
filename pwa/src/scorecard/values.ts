/** What a value of somebody else waits for. Pure; the server decides by the same steps. */

/** The step that a reader of this role may bring it; null where it waits for another, or for nobody. */
export function stepOf(status: string, role: string): 'confirmed' | 'reviewed' | null {
  if (status === 'entered') return role === 'manager' || role === 'administrator' ? 'confirmed' : null;
  if (status === 'confirmed') return role === 'finance' || role === 'administrator' ? 'reviewed' : null;
  return null;
}
