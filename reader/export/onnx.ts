import { Message } from './protobuf.ts';

type Data = Float32Array | Int8Array | BigInt64Array;
type Attribute = number | string | number[] | { float: number };
type Dims = (number | string)[];

/** ONNX element types (TensorProto.DataType). */
const types = { float: 1, int8: 3, int64: 7 } as const;

const typeOf = (data: Data): number =>
  data instanceof Float32Array ? types.float : data instanceof Int8Array ? types.int8 : types.int64;

function attribute(name: string, value: Attribute): Message {
  const message = new Message().string(1, name);
  if (typeof value === 'number') return message.int(3, value).int(20, 2);
  if (typeof value === 'string') return message.string(4, value).int(20, 3);
  if (!Array.isArray(value)) return message.float(2, value.float).int(20, 1);
  for (const item of value) message.int(8, item);
  return message.int(20, 7);
}

function valueInfo(name: string, type: number, dims: Dims): Message {
  const shape = new Message();
  for (const dim of dims) {
    const item = new Message();
    shape.message(1, typeof dim === 'string' ? item.string(2, dim) : item.int(1, dim));
  }
  const tensor = new Message().int(1, type).message(2, shape);
  return new Message().string(1, name).message(2, new Message().message(1, tensor));
}

/** Builds an ONNX graph node by node. Names count up, so the same calls give the same bytes. */
export class OnnxGraph {
  private readonly nodes: Message[] = [];
  private readonly tensors: Message[] = [];
  private readonly inputs: Message[] = [];
  private readonly outputs: Message[] = [];
  private readonly constants = new Map<string, string>();
  private names = 0;

  input(name: string, dims: Dims): string {
    this.inputs.push(valueInfo(name, types.int64, dims));
    return name;
  }

  /** Gives `value` the name under which callers read it. */
  output(value: string, name: string, dims: Dims): void {
    this.nodes.push(new Message().string(1, value).string(2, name).string(4, 'Identity'));
    this.outputs.push(valueInfo(name, types.float, dims));
  }

  /** A constant tensor, row-major. */
  tensor(data: Data, dims: number[]): string {
    const name = this.name('tensor');
    const message = new Message();
    for (const dim of dims) message.int(1, dim);
    message.int(2, typeOf(data)).string(8, name);
    this.tensors.push(message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
    return name;
  }

  /** A constant vector of integers; equal ones are shared. */
  ints(...values: number[]): string {
    return this.shared(`[${values}]`, () =>
      this.tensor(BigInt64Array.from(values.map(BigInt)), [values.length]),
    );
  }

  int(value: number): string {
    return this.shared(String(value), () => this.tensor(BigInt64Array.of(BigInt(value)), []));
  }

  float(value: number): string {
    return this.shared(`f${value}`, () => this.tensor(Float32Array.of(value), []));
  }

  /** Whatever `make` gives the first time that `key` is asked for. */
  shared(key: string, make: () => string): string {
    const known = this.constants.get(key);
    if (known) return known;
    const made = make();
    this.constants.set(key, made);
    return made;
  }

  /** A node with one output. `type` may carry the domain: `com.microsoft.RotaryEmbedding`. */
  op(type: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    return this.ops(type, inputs, 1, attributes)[0]!;
  }

  ops(type: string, inputs: string[], outputs: number, attributes: Record<string, Attribute> = {}): string[] {
    const dot = type.lastIndexOf('.');
    const operator = type.slice(dot + 1);
    const results = Array.from({ length: outputs }, () => this.name(operator));
    const node = new Message();
    for (const input of inputs) node.string(1, input);
    for (const result of results) node.string(2, result);
    node.string(3, results[0]!).string(4, operator);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value));
    if (dot > 0) node.string(7, type.slice(0, dot));
    this.nodes.push(node);
    return results;
  }

  encode(): Uint8Array {
    const graph = new Message();
    for (const node of this.nodes) graph.message(1, node);
    graph.string(2, 'reader');
    for (const tensor of this.tensors) graph.message(5, tensor);
    for (const input of this.inputs) graph.message(11, input);
    for (const output of this.outputs) graph.message(12, output);
    return new Message()
      .int(1, 10)
      .string(2, 'sluice')
      .message(7, graph)
      .message(8, new Message().string(1, '').int(2, 20))
      .message(8, new Message().string(1, 'com.microsoft').int(2, 1))
      .encode();
  }

  private name(kind: string): string {
    return `${kind}_${this.names++}`;
  }
}
