const words = (list: string) => new Set(list.split(/\s+/));

/** Never the end of a sentence: something must follow. Lower case, inner dots kept. */
const JOINS = words(
  `dr mr mrs ms mx prof st mt capt cpt gen sgt lt col cmdr cdr maj rev hon pres gov sen rep messrs mme mlle sr sra dipl ing hr fr
   fig figs eq eqs sec secs ch chap vol vols ed eds pp cf vs e.g i.e viz al ca approx resp art tab ref refs dept univ
   bzw z.b d.h u.a vgl nr abs bd hrsg sog geb str m.e i.d.r ggf evtl inkl p.ex av c.-à-d núm pág`,
);
/** Join before a number only: "No. 5", but "He said no. Then". */
const BEFORE_NUMBER = words('no nos p pp n art op para cl item lot pt pl');
/** May end a sentence, and do when a word that starts sentences follows. */
const MAY_END = words(
  `etc inc ltd corp co bros jr sr esq a.m p.m am pm u.s u.k u.n e.u d.c b.c a.d ph.d m.d usw jan feb mar apr jun jul aug sep sept
   oct nov dec mon tue wed thu fri sat sun est ave blvd rd`,
);
const STARTERS = words(
  `the a an he she it we they i you this that these those there here in on at by for from to of if when while after before
   but and or so as then thus however no not what why who how where our his her its their my your all both each some every one mr mrs ms dr
   der die das ein eine er sie es wir ich und aber le la les un une il elle nous el los las`,
);
const MONTHS = words(
  `januar jänner februar märz april mai juni juli august september oktober november dezember januari februari maart mei juni juli
   augustus januar marts maj oktober december`,
);

/** Units looked back for the word before a stop; the longest abbreviation is shorter. */
const WORD_UNITS = 12;

const isLetter = (c: number) => (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || (c >= 0xc0 && c < 0x250);
const isDigit = (c: number) => c >= 48 && c <= 57;

/**
 * Whether the stop at `i` belongs to an abbreviation, an initial or an ordinal, so that the sentence goes on at `next`.
 *
 * @param from start of the sentence
 * @param next where the next word starts
 * @param to end of what may be read
 */
export function joinsAbbreviation(text: string, from: number, i: number, next: number, to: number): boolean {
  let w = i;
  const floor = Math.max(from, i - WORD_UNITS);
  while (w > floor) {
    const c = text.charCodeAt(w - 1);
    if (!isLetter(c) && !isDigit(c) && c !== 46 && c !== 45) break;
    w--;
  }
  if (w === i) return false;
  if (w === floor && w > from) return false;
  const word = text.slice(w, i);
  const first = word.charCodeAt(0);
  const following = wordAt(text, next, to);
  if (isDigit(first)) {
    // "3. Mai" is a date; "1. Open the valve" at the start is the marker of a list.
    if (word.length > 2) return false;
    return text.slice(from, w).trim() === '' || MONTHS.has(following.toLowerCase());
  }
  const lower = word.toLowerCase();
  if (JOINS.has(lower)) return true;
  if (BEFORE_NUMBER.has(lower) && (word.length > 1 || word === lower)) return isDigit(text.charCodeAt(next));
  const starts = STARTERS.has(following.toLowerCase());
  if (MAY_END.has(lower)) return !starts;
  // Initials: "J. R. Hale", "U.S.S. Maine". "I." ends a sentence ("older than I.") unless it opens a name.
  const initials =
    word.length === 1 ? lower !== word && (word !== 'I' || opensName(text, from, w)) : dotted(word);
  return initials && !starts && following !== '';
}

/** Whether nothing of the sentence, or a mark, stands before the word at `w`. */
function opensName(text: string, from: number, w: number): boolean {
  let i = w;
  while (i > from && text.charCodeAt(i - 1) === 32) i--;
  return i === from || ':,(.'.includes(text[i - 1]!) || text.slice(from, i).trim() === '';
}

/** Single letters with dots between them: "U.S.S", "z.B". */
function dotted(word: string): boolean {
  if (word.length % 2 === 0) return false;
  for (let i = 0; i < word.length; i++) {
    if (i % 2 === 1 ? word[i] !== '.' : !isLetter(word.charCodeAt(i))) return false;
  }
  return true;
}

function wordAt(text: string, at: number, to: number): string {
  let i = at;
  const end = Math.min(to, at + WORD_UNITS);
  while (i < end && isLetter(text.charCodeAt(i))) i++;
  return text.slice(at, i);
}
