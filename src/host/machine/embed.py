"""Turn a file into a C array: embed.py INPUT NAME OUTPUT."""

import sys

path, name, output = sys.argv[1:]
with open(path, "rb") as file:
    data = file.read()
with open(output, "w", encoding="ascii") as file:
    file.write(f"/* Made from {name}; not to be edited. */\n")
    file.write(f"static const unsigned char {name}[] = {{\n")
    for i in range(0, len(data), 16):
        file.write("    " + " ".join(f"{byte}," for byte in data[i : i + 16]) + "\n")
    file.write("};\n")
