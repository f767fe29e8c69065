import {
  type AttentionBackend,
  type BackendDescription,
  QuestionTooLong,
  type ScanSettings,
  type ScoreRequest,
  type WindowScores,
} from '../../../shared/attention.ts';
import { estimateTokens } from './estimate.ts';
import { CallFailure } from './failure.ts';
import { type Connection, get } from './http.ts';
import { post } from './huggingface.ts';
import { type PayloadLimits, splitPayload } from './payload.ts';
import { defaultLimits, realTiming, type Timing, Upstream, type UpstreamLimits } from './upstream.ts';
import {
  type Call,
  type Door,
  describeCall,
  doorOf,
  readDescription,
  readScores,
  type ScoreParameters,
  scoreCall,
  TooLongQuestion,
} from './wire.ts';

export { BackendError, BackendProtocol, BackendUnavailable, BackendWarming } from './errors.ts';

export interface EndpointOptions extends Connection, Partial<UpstreamLimits>, Partial<PayloadLimits> {
  /** By default from the URL: …/v1 is inference/server.py, anything else a Hugging Face Inference Endpoint. */
  door?: Door;
  /** Layer and heads to read; the endpoint's choice when left out. */
  parameters?: ScoreParameters;
  /** Overrides of what the endpoint proposes. */
  settings?: Partial<ScanSettings>;
  /** The embedded reader: where the endpoint serves the same weights, its tokenizer counts, and windows are cut at the same places. */
  embedded?: Pick<AttentionBackend, 'describe' | 'countTokens'>;
  /** Longest wait for one call, headers and body. */
  timeoutMs?: number;
  timing?: Timing;
  /** Called whenever a call must wait because the endpoint is starting. */
  onWarming?: (retryAfterSeconds: number) => void;
}

/** A replica takes one payload at a time: large ones keep it busy, small ones spread over replicas and are cheap to repeat. */
const payloadDefaults: PayloadLimits = { maxBytes: 1_000_000, maxWindows: 64 };

// Longer than any batch of the default payload takes on a GPU, shorter than a listener's patience.
const TIMEOUT_MS = 25_000;

/**
 * Attention from a GPU endpoint. Keep one for the life of the isolate: the back-off schedule, the budget of calls and the description are
 * its state.
 *
 * @throws from its methods: BackendWarming and BackendUnavailable (with `retryAfterSeconds` when coming back helps), BackendProtocol,
 *   QuestionTooLong
 */
export function createEndpointBackend(options: EndpointOptions): AttentionBackend {
  const limits = pick({ ...defaultLimits, ...payloadDefaults, timeoutMs: TIMEOUT_MS }, options);
  const door = options.door ?? doorOf(options.url);
  const upstream = new Upstream(limits, options.timing ?? realTiming, options.onWarming ?? (() => {}));
  let description: Promise<BackendDescription> | undefined;

  function send<T>({ url, body }: Call, read: (data: unknown) => T, abandoned?: () => boolean): Promise<T> {
    const connection = { url, token: options.token, fetch: options.fetch };
    return upstream.call(async () => {
      const signal = AbortSignal.timeout(limits.timeoutMs);
      return read(await (body ? post(connection, body, signal) : get(connection, signal)));
    }, abandoned);
  }

  async function scoreWindows(request: ScoreRequest, abandoned: () => boolean): Promise<WindowScores[]> {
    try {
      return await send(
        scoreCall(options.url, door, request, options.parameters ?? {}),
        (data) => readScores(data, request.windows),
        abandoned,
      );
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error;
      // Too large for a proxy on the way: halves may pass. A single window cannot be cut here.
      if (request.windows.length < 2) throw error.toError(0);
      const { question, windows } = request;
      const half = Math.ceil(windows.length / 2);
      const front = await scoreWindows({ question, windows: windows.slice(0, half) }, abandoned);
      return [...front, ...(await scoreWindows({ question, windows: windows.slice(half) }, abandoned))];
    }
  }

  async function describe(): Promise<BackendDescription> {
    description ??= send(describeCall(options.url, door), readDescription).then((d) => ({
      ...d,
      settings: { ...d.settings, ...options.settings },
    }));
    try {
      return await description;
    } catch (error) {
      // A failure is not a description: the next caller asks again.
      description = undefined;
      throw error instanceof CallFailure ? error.toError(0) : error;
    }
  }

  async function countTokens(sentences: string[]): Promise<number[]> {
    const { embedded } = options;
    if (embedded && (await embedded.describe()).model === (await describe()).model) {
      return embedded.countTokens(sentences);
    }
    return sentences.map(estimateTokens);
  }

  return {
    describe,
    countTokens,

    async score({ question, windows }) {
      const asked = (await countTokens([question]))[0]!;
      const limit = (await describe()).max_question_tokens;
      if (asked > limit) throw new QuestionTooLong(asked, limit);
      let failed = false;
      const calls = splitPayload(windows, limits).map(async (part) => {
        try {
          return await scoreWindows({ question, windows: part }, () => failed);
        } catch (error) {
          // The rest of this request is of no use now; it must not spend calls.
          failed = true;
          throw error instanceof TooLongQuestion ? new QuestionTooLong(asked, limit) : error;
        }
      });
      return { windows: (await Promise.all(calls)).flat() };
    },
  };
}

/** `defaults` with the values of `given` where it has any. */
function pick<T extends object>(defaults: T, given: Partial<T>): T {
  const keys = Object.keys(defaults) as (keyof T)[];
  return Object.fromEntries(keys.map((key) => [key, given[key] ?? defaults[key]])) as T;
}
