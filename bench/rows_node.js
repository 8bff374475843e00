// Rows by wasm in node: rows_node.js WASM TABLE TEXT_LEN. Each line of standard input is a function,
// the rows of a slice and how many rows in all; what is printed for it is ns a row.
'use strict';
const fs = require('fs');

const [path, table, textLen] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const COLUMNS = 0x20000, RESULT = COLUMNS + 32768 * 32;
const wasm = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(path)), {}).exports;
const f64 = new Float64Array(wasm.memory.buffer), i64 = new BigInt64Array(wasm.memory.buffer);
const i32 = new Int32Array(wasm.memory.buffer), u8 = new Uint8Array(wasm.memory.buffer);

const x = new Float64Array(table), y = new Float64Array(table).fill(0.5);
const products = new Float64Array(table), sums = new BigInt64Array(table);
const offsets = new Int32Array(table + 1), ends = new Int32Array(32769);
const text = new Uint8Array(table * textLen).fill(120), copies = new Uint8Array(table * textLen);
for (let i = 0; i <= table; i++) {
    if (i < table)
        x[i] = i;
    offsets[i] = i * textLen;
}

function mul(first, count) {
    f64.set(x.subarray(first, first + count), COLUMNS / 8);
    f64.set(y.subarray(first, first + count), COLUMNS / 8 + count);
    wasm.rows_mul(COLUMNS, COLUMNS + 8 * count, RESULT, count);
    products.set(f64.subarray(RESULT / 8, RESULT / 8 + count), first);
}

// Where the text lies, after it and its offsets were copied.
function put(first, count) {
    const at = COLUMNS + 4 * (count + 1);
    i32.set(offsets.subarray(first, first + count + 1), COLUMNS / 4);
    u8.set(text.subarray(offsets[first], offsets[first + count]), at);
    return at - offsets[first];
}

function sum(first, count) {
    wasm.rows_sum(put(first, count), COLUMNS, RESULT, count);
    sums.set(i64.subarray(RESULT / 8, RESULT / 8 + count), first);
}

function copy(first, count) {
    const base = offsets[first], len = offsets[first + count] - base;
    wasm.rows_copy(put(first, count), COLUMNS, RESULT - base, count);
    ends.set(i32.subarray(COLUMNS / 4, COLUMNS / 4 + count + 1));
    copies.set(u8.subarray(RESULT, RESULT + len), base);
}

function run(each, slice, total) {
    for (let first = 0; first < total; first += slice)
        each(first, slice);
}

const functions = [mul, sum, copy];
let line = '';
const byte = Buffer.alloc(1);
while (fs.readSync(0, byte, 0, 1) === 1) {
    if (byte[0] !== 10) {
        line += byte.toString();
        continue;
    }
    const [which, slice, total] = line.split(' ').map(Number);
    line = '';
    run(functions[which], slice, total); // until it is compiled
    const begin = process.hrtime.bigint();
    run(functions[which], slice, total);
    fs.writeSync(1, `${Number(process.hrtime.bigint() - begin) / total}\n`);
}
