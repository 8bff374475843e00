/*
 * Lua as a guest, from Debian's archive as it is:
 *
 *     halo run lua.halo 'print(_VERSION, ...)' a b
 *     halo run lua.halo - <script.lua
 *
 * All of its library is there; of the machine it sees standard streams, clocks, and files of its
 * own in /tmp.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    lua_State *lua = luaL_newstate();
    int error;

    if (!lua || argc < 2) {
        fprintf(stderr, argc < 2 ? "usage: lua SCRIPT|- [ARGUMENT...]\n" : "lua: no memory\n");
        return 2;
    }
    luaL_openlibs(lua);
    if (!lua_checkstack(lua, argc)) {
        fprintf(stderr, "lua: too many arguments\n");
        return 2;
    }
    error = strcmp(argv[1], "-") == 0 ? luaL_loadfile(lua, NULL) : luaL_loadstring(lua, argv[1]);
    for (int i = 2; i < argc && !error; i++)
        lua_pushstring(lua, argv[i]);
    if (!error)
        error = lua_pcall(lua, argc - 2, 0, 0);
    if (error)
        fprintf(stderr, "lua: %s\n", luaL_tolstring(lua, -1, NULL));
    lua_close(lua);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        perror("lua: standard output");
        return 1;
    }
    return error ? 1 : 0;
}
