/** Writes protocol buffer messages: just the wire types that ONNX files hold. */
export class Message {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  /** A varint field: integers, enums, booleans. */
  int(field: number, value: number | bigint): this {
    this.varint(BigInt(field * 8));
    this.varint(BigInt(value));
    return this;
  }

  float(field: number, value: number): this {
    this.varint(BigInt(field * 8 + 5));
    this.push(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.varint(BigInt(field * 8 + 2));
    this.varint(BigInt(value.length));
    this.push(value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    this.varint(BigInt(field * 8 + 2));
    this.varint(BigInt(value.length));
    for (const part of value.parts) this.push(part);
    return this;
  }

  encode(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  private push(part: Uint8Array): void {
    this.parts.push(part);
    this.length += part.length;
  }

  private varint(value: bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    do {
      const low = Number(rest & 127n);
      rest >>= 7n;
      bytes.push(rest ? low | 128 : low);
    } while (rest);
    this.push(Uint8Array.from(bytes));
  }
}
