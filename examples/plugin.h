/*
 * The interface between an editor and its plug-ins, as both sides include it: names and signatures,
 * once. HOST functions are the editor's, PLUGIN functions are the plug-in's.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

/* The value of a setting, "" where there is none. */
#define HOST_SETTING "host.setting", HALO_STR, HALO_STR
/* Tell the user something. */
#define HOST_LOG "host.log", HALO_VOID, HALO_STR

/* What the plug-in is called, and what it does. */
#define PLUGIN_NAME "plugin.name", HALO_STR
/* A line as it is to be instead; fails with 1 where it is to be left out. */
#define PLUGIN_LINE "plugin.line", HALO_STR, HALO_STR

enum plugin_error {
    PLUGIN_DROP = 1, /* of PLUGIN_LINE */
};

#endif
