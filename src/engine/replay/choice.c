/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/replay/choice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define SLOTS_MIN 1024

static uint64_t key_of(const struct event *record, int fd)
{
    uint64_t key = (uint64_t)record->pid << 32 | (uint32_t)fd;

    if (record->host != NULL)
        key ^= text_hash(TEXT_HASH_START, record->host, strlen(record->host));
    return key != 0 ? key : 1;
}

static size_t slot_of(const struct choice *choice, uint64_t key)
{
    size_t slot = key * 0x9e3779b97f4a7c15 >> 32 & (choice->n_slots - 1);

    while (choice->slots[slot] != 0 && choice->slots[slot] != key)
        slot = (slot + 1) & (choice->n_slots - 1);
    return slot;
}

static bool has(const struct choice *choice, uint64_t key)
{
    return choice->n > 0 && choice->slots[slot_of(choice, key)] == key;
}

static int resize(struct choice *choice, size_t n_slots)
{
    struct choice more = *choice;

    more.slots = calloc(n_slots, sizeof(*more.slots));
    if (more.slots == NULL)
        return -ENOMEM;
    more.n_slots = n_slots;
    for (size_t i = 0; i < choice->n_slots; i++)
        if (choice->slots[i] != 0)
            more.slots[slot_of(&more, choice->slots[i])] = choice->slots[i];
    free(choice->slots);
    *choice = more;
    return 0;
}

static int add(struct choice *choice, uint64_t key)
{
    if (has(choice, key))
        return 0;
    if (2 * (choice->n + 1) > choice->n_slots &&
        resize(choice, choice->n_slots > 0 ? 2 * choice->n_slots : SLOTS_MIN) < 0)
        return -ENOMEM;
    choice->slots[slot_of(choice, key)] = key;
    choice->n++;
    return 0;
}

/* The keys that follow are inserted again: they may stand where they do because of this one. */
static void drop(struct choice *choice, uint64_t key)
{
    size_t slot;

    if (!has(choice, key))
        return;
    slot = slot_of(choice, key);
    choice->slots[slot] = 0;
    choice->n--;
    for (;;) {
        uint64_t next;

        slot = (slot + 1) & (choice->n_slots - 1);
        next = choice->slots[slot];
        if (next == 0)
            return;
        choice->slots[slot] = 0;
        choice->slots[slot_of(choice, next)] = next;
    }
}

static int is_of_users(const struct engine_config *config, const struct event *record)
{
    const struct event_facts *facts = record->facts;

    if (config->n_users == 0)
        return true;
    if (facts == NULL || !(facts->known & FACT(USER)))
        return -ENODATA;
    for (size_t i = 0; i < config->n_users; i++)
        if (config->users[i] == facts->user)
            return true;
    return false;
}

/* As choice_takes(), of what is opened or failed to be. */
static int is_chosen(const struct choice *choice, const struct event *record)
{
    uint64_t mode = record->flags & O_ACCMODE;

    if (choice->config->writes && mode != O_WRONLY && mode != O_RDWR)
        return 0;
    return is_of_users(choice->config, record);
}

/* An open or a copy: its descriptor is chosen from now on, or not any more. */
static int begin(struct choice *choice, const struct event *record, int chosen)
{
    uint64_t key = key_of(record, record->fd);

    if (chosen <= 0) {
        drop(choice, key);
        return chosen;
    }
    return add(choice, key) < 0 ? -ENOMEM : 1;
}

static int end(struct choice *choice, const struct event *record)
{
    uint64_t key = key_of(record, record->fd);
    int chosen = has(choice, key);

    drop(choice, key);
    return chosen;
}

int choice_takes(struct choice *choice, const struct event *record)
{
    if (!choice->config->writes && choice->config->n_users == 0)
        return 1;
    switch (record->code) {
    case EVENT_OPEN:
    case EVENT_HELD:
        return begin(choice, record, is_chosen(choice, record));
    case EVENT_DUP:
        return begin(choice, record, has(choice, key_of(record, record->origin)));
    case EVENT_CLOSE:
    case EVENT_ERROR:
        return end(choice, record);
    case EVENT_FAIL:
        return record->call == NULL ? is_chosen(choice, record)
                                    : is_of_users(choice->config, record);
    case EVENT_LOST:
        return 1;
    default: /* of calls that are no opens */
        return is_of_users(choice->config, record);
    }
}

void choice_release(struct choice *choice)
{
    free(choice->slots);
    *choice = (struct choice){.slots = NULL};
}
