import { readdirSync, readFileSync } from 'node:fs';

const field = (pid: number, name: string): number => {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'));
  return line ? Number(line[1]) : 0;
};

/** This process and all that it started (Linux only). */
export function family(root = process.pid): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!pid) continue;
    try {
      parents.set(pid, field(pid, 'PPid'));
    } catch {
      // It ended between the listing and the reading.
    }
  }
  const all = [root];
  for (let i = 0; i < all.length; i++)
    for (const [pid, parent] of parents) if (parent === all[i]) all.push(pid);
  return all;
}

/** Peak resident memory of each process of the family, summed, in MiB. */
export const peakMemory = (): number => family().reduce((sum, pid) => sum + field(pid, 'VmHWM'), 0) / 1024;

/** CPU seconds, user and system, of the processes started by this one. */
export function childCpu(): number {
  return family()
    .slice(1)
    .reduce((sum, pid) => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return sum + (Number(fields[11]) + Number(fields[12])) / 100;
    }, 0);
}
