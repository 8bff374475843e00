"""Whether a file is a profile as pprof reads it: pprof.py FILE FUNCTION...

Takes the message Profile of pprof's profile.proto apart by protobuf's own descriptors: fields that it has,
numbers that are there, and each FUNCTION somewhere in the samples. Prints what is wrong.
"""

import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELDS = {  # of the messages, as profile.proto has them: name, number, type, whether it is repeated
    "ValueType": [("type", 1, "int64", False), ("unit", 2, "int64", False)],
    "Sample": [("location_id", 1, "uint64", True), ("value", 2, "int64", True)],
    "Line": [("function_id", 1, "uint64", False), ("line", 2, "int64", False)],
    "Location": [("id", 1, "uint64", False), ("mapping_id", 2, "uint64", False), ("address", 3, "uint64", False),
                 ("line", 4, "Line", True)],
    "Function": [("id", 1, "uint64", False), ("name", 2, "int64", False), ("system_name", 3, "int64", False),
                 ("filename", 4, "int64", False), ("start_line", 5, "int64", False)],
    "Profile": [("sample_type", 1, "ValueType", True), ("sample", 2, "Sample", True), ("location", 4, "Location", True),
                ("function", 5, "Function", True), ("string_table", 6, "string", True),
                ("period_type", 11, "ValueType", False), ("period", 12, "int64", False)],
}


def profile_class():
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", syntax="proto3")
    types = descriptor_pb2.FieldDescriptorProto
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            made = message.field.add(name=field, number=number,
                                     label=types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL)
            made.type = getattr(types, "TYPE_" + kind.upper(), types.TYPE_MESSAGE)
            if made.type == types.TYPE_MESSAGE:
                made.type_name = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("Profile")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def main():
    profile = profile_class()()
    with open(sys.argv[1], "rb") as file:
        bytes_read = file.read()
    profile.ParseFromString(bytes_read)
    text = profile.string_table
    assert profile.SerializeToString() and text[0] == "", "a string table begins with an empty one"
    functions = {f.id: text[f.name] for f in profile.function}
    locations = {place.id: [functions[line.function_id] for line in place.line] for place in profile.location}
    assert 0 not in functions and 0 not in locations, "0 is no number of anything"
    assert [(text[t.type], text[t.unit]) for t in profile.sample_type] == [("samples", "count"), ("wall", "nanoseconds")]
    assert profile.period > 0 and text[profile.period_type.unit] == "nanoseconds"
    assert profile.sample, "there is no sample"
    seen = set()
    for sample in profile.sample:
        assert len(sample.value) == 2 and sample.value[0] > 0 and sample.value[1] == sample.value[0] * profile.period
        for place in sample.location_id:
            seen.update(locations[place])
    for function in sys.argv[2:]:
        assert function in seen, f"no sample is of {function}, but of {sorted(seen)}"


main()
