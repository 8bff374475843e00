# Standard output of walk, then lackey's trace: prints what is not as it is said to be.
# A decision is good when its loads and stores of the ring are as many as announced, each loads a
# word at most once, and each is whole: 8 bytes of a descriptor, 4 of an event structure.
function number(hex,    value, i) {
    hex = tolower(hex)
    sub(/^0x/, "", hex)
    for (i = 1; i <= length(hex); i++)
        value = value * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
    return value
}
function bad(text) {
    print name[now] ": " text
    wrong = 1
}
$1 == "ring" { ring = number($2); ring_len = $3; events = ring + ring_len - 128; next }
$1 == "post" { post = number($2); next }
NF == 3 && $2 ~ /^[0-9]+$/ { name[++decisions] = $1; loads[decisions] = $2; stores[decisions] = $3; next }
$1 ~ /^[LSM]$/ && NF == 2 {
    split($2, access, ",")
    at = number(access[1])
    len = access[2] + 0
    if (at == post && $1 == "S") {
        if (inside) {
            if (got_loads != loads[now]) bad(got_loads " loads, not " loads[now])
            if (got_stores != stores[now]) bad(got_stores " stores, not " stores[now])
        } else {
            now++
            got_loads = got_stores = 0
            delete seen
        }
        inside = !inside
        next
    }
    if (!inside || at + len <= ring || at >= ring + ring_len)
        next
    if ($1 == "M") bad("a load and a store in one")
    whole = at < events ? 8 : 4
    if (len != whole || at % whole) bad("an access of " len " bytes at offset " at - ring)
    if ($1 == "L") {
        got_loads++
        if (seen[at]++) bad("the word at offset " at - ring " is loaded again")
    } else {
        got_stores++
    }
}
END {
    if (decisions == 0 || now != decisions || inside) { print "no whole trace: " now " of " decisions; wrong = 1 }
    exit wrong
}
