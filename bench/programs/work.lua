local words, sum = {}, 0
for i = 1, 300000 do
    local word = string.format("%x", i * 2654435761 % 65536)
    words[word] = (words[word] or 0) + 1
end
for word, count in pairs(words) do sum = sum + #word * count end
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
print(sum, fib(27))
