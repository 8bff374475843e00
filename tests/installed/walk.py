#!/usr/bin/env python3
"""A host with nothing but exported functions, and what only a macro does: walk.py LIBRARY GUEST HEADERS

Another language cannot include a header. So this one opens a guest, looks a function up and calls
it with functions alone, and each macro with parameters that the headers have is listed here, with
what a program takes in its place.
"""
import ctypes
import pathlib
import re
import sys

# Of macros with parameters: functions that do the same, or none where they only write data down.
MACROS = {
    'halo_call': ['halo_call_start', 'halo_wait'],
    'halo_draft_add_readable': ['halo_driver_submit'],
    'halo_draft_add_writable': ['halo_driver_submit'],
    'halo_draft_submit': ['halo_driver_submit'],
    'HALO_FN': [],  # a struct halo_signature
    'HALO_METRICS_LEN': [],  # a sum
    'HALO_POOL_MIN': [],  # a sum
    'HALO_SENDER_BYTES': [],  # a sum
    'HALO_EXPORT': [],  # a function of a guest's and a struct halo_export
    'HALO_EXPORT_ROWS': [],  # the same with rows
    'HALO_EXPORT_AGGREGATE': [],  # and of an aggregate
    'HALO_IMPORT': [],  # a struct halo_import of a guest's
}


class Value(ctypes.Structure):
    _fields_ = [('type', ctypes.c_int), ('len', ctypes.c_size_t), ('i64', ctypes.c_int64)]


class Signature(ctypes.Structure):
    _fields_ = [('arg_count', ctypes.c_uint8), ('types', ctypes.c_uint8 * 17)]


class Future(ctypes.Structure):
    _fields_ = [('done', ctypes.c_bool), ('error', ctypes.c_int), ('code', ctypes.c_int32),
                ('text', ctypes.c_char_p), ('result', Value), ('private', ctypes.c_char * 1024)]


I64, FOREVER = 3, ctypes.c_int64(2**63 - 1)


def macros(headers, library):
    found = set()
    for header in headers.glob('*.h'):
        found |= set(re.findall(r'^\s*#\s*define\s+(halo_[a-z]\w*|HALO_[A-Z]\w*)\(', header.read_text(), re.M))
    assert found == set(MACROS), f'macros that are not listed, or are gone: {found ^ set(MACROS)}'
    for name in (name for names in MACROS.values() for name in names):
        getattr(library, name)  # AttributeError where it is not exported


def call(library, guest):
    for name, result, *args in (
            ('halo_open', ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
            ('halo_serve_begin', ctypes.c_int, ctypes.c_void_p, ctypes.c_int64),
            ('halo_lookup', ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
            ('halo_i64', Value, ctypes.c_int64),
            ('halo_call_start', ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int,
             ctypes.c_void_p, ctypes.c_size_t),
            ('halo_wait', ctypes.c_int, ctypes.c_void_p, ctypes.c_int64),
            ('halo_errmsg', ctypes.c_char_p, ctypes.c_void_p),
            ('halo_future_free', None, ctypes.c_void_p),
            ('halo_close', None, ctypes.c_void_p)):
        function = getattr(library, name)
        function.restype, function.argtypes = result, args
    box, future = ctypes.c_void_p(), Future()
    error = library.halo_open(ctypes.byref(box), guest.encode(), None) or library.halo_serve_begin(box, FOREVER)
    assert error == 0, library.halo_errmsg(box)
    signature = Signature(1, (ctypes.c_uint8 * 17)(I64, I64))
    function = library.halo_lookup(box, b'twice', ctypes.byref(signature))
    argument = library.halo_i64(3)
    error = library.halo_call_start(box, ctypes.byref(future), function, ctypes.byref(argument), 1)
    assert error == 0 and library.halo_wait(ctypes.byref(future), FOREVER) == 0, library.halo_errmsg(box)
    assert future.done and future.result.type == I64, future.result.type
    print(future.result.i64)
    library.halo_future_free(ctypes.byref(future))
    library.halo_close(box)


if __name__ == '__main__':
    LIBRARY = ctypes.CDLL(sys.argv[1])
    macros(pathlib.Path(sys.argv[3]), LIBRARY)
    call(LIBRARY, sys.argv[2])
