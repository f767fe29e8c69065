import { sequential } from './sequential.ts';
import type { Scan, ScanMode } from './state.ts';
import { tournament } from './tournament.ts';

export const scans: Record<ScanMode, Scan> = { sequential, tournament };
export type { Outcome, Placed, Plan, Scan, ScanMode, ScanState, Window } from './state.ts';
