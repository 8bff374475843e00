/* One sentence: what the sandbox waits for and why, or why it has ended. */
#include "inspect_say.h"

void inspect_why(const struct inspected *inspected, char *why)
{
    const struct halo_picture *picture = &inspected->picture;
    struct sentence sentence = {.text = why};

    why[0] = '\0';
    switch (picture->state) {
    case HALO_STATE_READY:
        inspect_say(&sentence, "The guest was not begun: its host has opened it and not run it");
        break;
    case HALO_STATE_RUNNING:
        inspect_say(&sentence, "The guest ");
        if (picture->missing[0])
            inspect_say(&sentence,
                        "cannot go on, for it imports %s, which nobody has provided since it was "
                        "restored; it ",
                        picture->missing);
        inspect_say_doing(&sentence, inspected);
        break;
    case HALO_STATE_ENDED:
        inspect_say_end(&sentence, inspected);
        break;
    default:
        inspect_say(&sentence, "The sandbox was not opened");
    }
    inspect_say(&sentence, ".");
}
