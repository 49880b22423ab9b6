import { quote } from './errors.js';
import { isAllowedGlobal } from './pickle-globals.js';
import { PickleError, PickleReader } from './pickle-reader.js';
import { buildStorage, reduce } from './pickle-torch.js';
import { isKind, type PickleStorage, type PickleValue } from './pickle-values.js';
import { limits } from './types.js';

const mark = Symbol('mark');
type Slot = PickleValue | typeof mark;

export interface PickleResult {
  readonly value: PickleValue;
  /** Position after the STOP opcode. */
  readonly end: number;
  /** Every storage the pickle describes, by key. */
  readonly storages: ReadonlyMap<string, PickleStorage>;
}

/** One pickle on its way to a value. Opcodes that torch.save writes are known; any other ends the reading. */
class Machine {
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #storages = new Map<string, PickleStorage>();
  readonly #reader: PickleReader;
  #opcode = 0;
  /** Position of the opcode at work. */
  at = 0;

  constructor(bytes: Buffer, start: number) {
    this.#reader = new PickleReader(bytes, start);
  }

  fail(what: string): PickleError {
    return new PickleError(what, this.at);
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === mark) throw this.fail('the pickle takes more from its stack than is there');
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === mark) throw this.fail('the pickle needs a value that is not there');
    return value;
  }

  #toMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at === -1) throw this.fail('the pickle has no mark where one is due');
    const items = this.#stack.splice(at);
    items.shift();
    return items as PickleValue[];
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.fail(`the pickle recalls entry ${String(index)} that was never stored`);
    this.#push(value);
  }

  #global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.fail('the pickle builds a Python name from something else than text');
    const full = `${module}.${name}`;
    if (!isAllowedGlobal(full)) {
      throw this.fail(
        `the pickle asks for the Python name ${quote(full)}, which a model file has no need of and which was not executed`,
      );
    }
    this.#push({ kind: 'global', name: full });
  }

  #setItems(items: readonly PickleValue[]): void {
    if (items.length % 2 !== 0) throw this.fail('the pickle sets a key without a value');
    const target = this.#top();
    if (isKind(target, 'opaque')) return;
    if (!isKind(target, 'dict')) throw this.fail('the pickle sets items of something that is not a dictionary');
    for (let i = 0; i < items.length; i += 2) target.entries.push([items[i] ?? null, items[i + 1] ?? null]);
  }

  #append(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (isKind(target, 'opaque')) return;
    if (!isKind(target, 'list')) throw this.fail('the pickle appends to something that is not a list');
    for (const item of items) target.items.push(item);
  }

  #tuple(length: number): void {
    const items: PickleValue[] = [];
    for (let i = 0; i < length; i++) items.unshift(this.#pop());
    this.#push({ kind: 'tuple', items });
  }

  #number(text: string): number | null {
    const value = /^[+-]?[0-9]{1,16}L?$/.test(text) ? Number(text.replace('L', '')) : NaN;
    return Number.isSafeInteger(value) ? value : null;
  }

  run(): PickleResult {
    for (let count = 0; count < limits.pickleOpcodes; count++) {
      this.at = this.#reader.at;
      this.#opcode = this.#reader.u8();
      if (this.#opcode === 0x2e) return { value: this.#pop(), end: this.#reader.at, storages: this.#storages };
      if (!this.#literal() && !this.#structure()) {
        throw this.fail(
          `the pickle has the opcode 0x${this.#opcode.toString(16).padStart(2, '0')}, which torch.save does not write`,
        );
      }
    }
    throw this.fail(`the pickle has more than ${String(limits.pickleOpcodes)} opcodes`);
  }

  /** Opcodes that push a value they carry. Byte strings have no meaning in a header and become opaque. */
  #literal(): boolean {
    const reader = this.#reader;
    switch (this.#opcode) {
      case 0x4e:
        this.#push(null);
        break; // NONE
      case 0x88:
        this.#push(true);
        break; // NEWTRUE
      case 0x89:
        this.#push(false);
        break; // NEWFALSE
      case 0x4b:
        this.#push(reader.u8());
        break; // BININT1
      case 0x4d:
        this.#push(reader.u16());
        break; // BININT2
      case 0x4a:
        this.#push(reader.i32());
        break; // BININT
      case 0x47:
        this.#push(reader.f64());
        break; // BINFLOAT
      case 0x8a:
        this.#push(reader.long(reader.u8()));
        break; // LONG1
      case 0x8b:
        this.#push(reader.long(reader.u32()));
        break; // LONG4
      case 0x49: {
        // INT, also True and False
        const text = reader.line();
        this.#push(text === '00' ? false : text === '01' ? true : this.#number(text));
        break;
      }
      case 0x4c:
        this.#push(this.#number(reader.line()));
        break; // LONG
      case 0x46:
        this.#push(Number(reader.line()));
        break; // FLOAT
      case 0x53:
        this.#push(reader.line().replace(/^(['"])(.*)\1$/s, '$2'));
        break; // STRING
      case 0x56:
        this.#push(reader.line());
        break; // UNICODE
      case 0x55:
        this.#push(reader.text(reader.u8()));
        break; // SHORT_BINSTRING
      case 0x54:
        this.#push(reader.text(reader.u32()));
        break; // BINSTRING
      case 0x8c:
        this.#push(reader.text(reader.u8()));
        break; // SHORT_BINUNICODE
      case 0x58:
        this.#push(reader.text(reader.u32()));
        break; // BINUNICODE
      case 0x8d:
        this.#push(reader.text(reader.u64()));
        break; // BINUNICODE8
      case 0x43:
        reader.skip(reader.u8());
        this.#push({ kind: 'opaque' });
        break; // SHORT_BINBYTES
      case 0x42:
        reader.skip(reader.u32());
        this.#push({ kind: 'opaque' });
        break; // BINBYTES
      case 0x8e: // BINBYTES8
      case 0x96:
        reader.skip(reader.u64());
        this.#push({ kind: 'opaque' });
        break; // BYTEARRAY8
      default:
        return false;
    }
    return true;
  }

  /** Opcodes that work on the stack and the memo. */
  #structure(): boolean {
    const reader = this.#reader;
    switch (this.#opcode) {
      case 0x80:
        this.#protocol(reader.u8());
        break; // PROTO
      case 0x95:
        reader.skip(8);
        break; // FRAME
      case 0x28:
        this.#stack.push(mark);
        break; // MARK
      case 0x7d:
        this.#push({ kind: 'dict', entries: [] });
        break; // EMPTY_DICT
      case 0x5d: // EMPTY_LIST
      case 0x8f:
        this.#push({ kind: 'list', items: [] });
        break; // EMPTY_SET
      case 0x29:
        this.#tuple(0);
        break; // EMPTY_TUPLE
      case 0x85:
        this.#tuple(1);
        break; // TUPLE1
      case 0x86:
        this.#tuple(2);
        break; // TUPLE2
      case 0x87:
        this.#tuple(3);
        break; // TUPLE3
      case 0x74:
        this.#push({ kind: 'tuple', items: this.#toMark() });
        break; // TUPLE
      case 0x6c: // LIST
      case 0x91:
        this.#push({ kind: 'list', items: this.#toMark() });
        break; // FROZENSET
      case 0x64: {
        // DICT
        const items = this.#toMark();
        this.#push({ kind: 'dict', entries: [] });
        this.#setItems(items);
        break;
      }
      case 0x75:
        this.#setItems(this.#toMark());
        break; // SETITEMS
      case 0x73: {
        // SETITEM
        const value = this.#pop();
        const key = this.#pop();
        this.#setItems([key, value]);
        break;
      }
      case 0x65: // APPENDS
      case 0x90:
        this.#append(this.#toMark());
        break; // ADDITEMS
      case 0x61:
        this.#append([this.#pop()]);
        break; // APPEND
      case 0x71:
        this.#remember(reader.u8());
        break; // BINPUT
      case 0x72:
        this.#remember(reader.u32());
        break; // LONG_BINPUT
      case 0x94:
        this.#remember(this.#memo.size);
        break; // MEMOIZE
      case 0x68:
        this.#recall(reader.u8());
        break; // BINGET
      case 0x6a:
        this.#recall(reader.u32());
        break; // LONG_BINGET
      case 0x30:
        this.#stack.pop();
        break; // POP
      case 0x31:
        this.#toMark();
        break; // POP_MARK
      case 0x32:
        this.#push(this.#top());
        break; // DUP
      case 0x63: {
        // GLOBAL
        const module = reader.line();
        this.#global(module, reader.line());
        break;
      }
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        this.#global(this.#pop(), name);
        break;
      }
      case 0x51:
        this.#storage(this.#pop());
        break; // BINPERSID
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const args = this.#pop();
        this.#push(reduce(this, this.#pop(), args));
        break;
      }
      case 0x62: {
        // BUILD
        const state = this.#pop();
        const target = this.#top();
        if (isKind(target, 'opaque')) target.state = state;
        break;
      }
      default:
        return false;
    }
    return true;
  }

  #storage(id: PickleValue): void {
    const storage = buildStorage(this, id);
    const known = this.#storages.get(storage.key);
    if (known !== undefined && (known.bytes !== storage.bytes || known.dtype !== storage.dtype)) {
      throw this.fail(`the pickle describes storage ${quote(storage.key)} in two ways`);
    }
    this.#storages.set(storage.key, storage);
    this.#push(storage);
  }

  #protocol(version: number): void {
    if (version < 2 || version > 5) throw this.fail(`the pickle protocol is ${String(version)}; 2 to 5 are read`);
  }
}

/**
 * Turns one pickle into plain values without executing anything of it. `PickleError` for an opcode that torch.save does
 * not write, a Python name outside the allow list, or a pickle that does not make sense.
 */
export function readPickle(bytes: Buffer, start = 0): PickleResult {
  return new Machine(bytes, start).run();
}
