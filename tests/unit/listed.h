/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of records for the tests of the writers; after <cmocka.h>. */
#ifndef FILEMON_LISTED_H
#define FILEMON_LISTED_H

#include "output/fields.h"

/* Those of the LIST, or with NULL the usual ones; until the next call. */
static inline const struct fields *listed(enum output_format format, const char *list)
{
    static struct fields fields;
    char *const lists[] = {(char *)list, NULL};

    assert_int_equal(fields_choose(&fields, format, 0, lists), 0);
    return &fields;
}

#endif
