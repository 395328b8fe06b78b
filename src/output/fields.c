/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/fields.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "array.h"
#include "diag.h"
#include "text.h"

static const char *const text_keys[] = {
    "date", "proceso", "pid", "codigo", "descriptor", "duracion_ns", "fichero",
};

/* NULL: there is no such key. */
static const struct field *find_part(const char *key, size_t len)
{
    for (const struct field *field = field_table; field < field_table + field_count; field++)
        if (strlen(field->key) == len && memcmp(field->key, key, len) == 0)
            return field;
    return NULL;
}

static const struct field *find(const char *key)
{
    return find_part(key, strlen(key));
}

static bool has(const struct fields *fields, const struct field *field)
{
    for (size_t i = 0; i < fields->n; i++)
        if (fields->list[i] == field)
            return true;
    return false;
}

static void add_key(struct fields *fields, const char *key)
{
    fields->list[fields->n++] = find(key);
}

static bool is_of_bytes(const struct field *field)
{
    return (field->facts & FACT(BYTES)) != 0;
}

static bool is_usual(const struct field *field, enum output_format format, unsigned int with)
{
    if (field->kind == FIELD_HOST)
        return with & FIELDS_HOST || format == FORMAT_JSON;
    return !field->on_request || (is_of_bytes(field) && with & FIELDS_BYTES);
}

static void add(struct fields *fields, const struct field *field, enum output_format format)
{
    const struct field **end = &fields->list[fields->n++];

    if (format == FORMAT_TEXT && fields->usual) {
        *end = end[-1];
        end--;
    }
    *end = field;
}

static void add_usual_of_text(struct fields *fields, unsigned int with)
{
    for (size_t i = 0; i < LENGTH(text_keys); i++)
        add_key(fields, text_keys[i]);
    for (size_t i = 0; i < field_count && with & FIELDS_BYTES; i++)
        if (is_of_bytes(&field_table[i]))
            add(fields, &field_table[i], FORMAT_TEXT);
    if (with & FIELDS_HOST)
        add(fields, find("maquina"), FORMAT_TEXT);
}

static void add_usual(struct fields *fields, enum output_format format, unsigned int with)
{
    fields->usual = true;
    if (format == FORMAT_TEXT) {
        add_usual_of_text(fields, with);
        return;
    }
    for (size_t i = 0; i < field_count; i++)
        if (is_usual(&field_table[i], format, with))
            fields->list[fields->n++] = &field_table[i];
}

/* A typing error, or an abbreviation. */
static bool is_near(const char *word, const char *key)
{
    size_t len = strlen(word);

    return text_errors(word, key) <= text_errors_allowed(word) ||
           (len > 1 && strncasecmp(word, key, len) == 0);
}

/* "; did you mean pid or tid?", or nothing. */
static char *put_near(char *at, const char *word)
{
    const char *between = "; did you mean ", *end = "";

    *at = '\0';
    for (size_t i = 0; i < field_count; i++) {
        if (!is_near(word, field_table[i].key))
            continue;
        at = stpcpy(stpcpy(at, between), field_table[i].key);
        between = " or ";
        end = "?";
    }
    return stpcpy(at, end);
}

#define NEAR_BYTES (FIELDS_MAX * 32)

static int refuse_unknown(const char *list, const char *key, size_t len)
{
    char word[TEXT_ERRORS_LEN + 1] = "", near[NEAR_BYTES] = "";

    if (len < sizeof(word)) {
        memcpy(word, key, len);
        put_near(near, word);
    }
    diag(DIAG_ERROR, "-F %s: there is no key '%.*s'%s%s 'filemon --help' lists the keys", list,
         (int)len, key, near, near[0] == '\0' ? ";" : "");
    return -EINVAL;
}

static int refuse(const char *list, const char *why)
{
    diag(DIAG_ERROR, "-F %s: %s", list, why);
    return -EINVAL;
}

static int take_key(struct fields *fields, enum output_format format, const char *list,
                    const char *key, size_t len)
{
    const struct field *field = find_part(key, len);

    if (len == 0)
        return refuse(list, "a KEY is empty; a LIST is KEY[,KEY...] or +KEY[,KEY...]");
    if (key[0] == '+')
        return refuse(list, "a LIST begins with + to add to the usual keys; any other has no +");
    if (field == NULL)
        return refuse_unknown(list, key, len);
    if (has(fields, field)) {
        diag(DIAG_ERROR, "-F %s: %s is there already", list, field->key);
        return -EINVAL;
    }
    add(fields, field, format);
    return 0;
}

static int take_list(struct fields *fields, enum output_format format, const char *list)
{
    bool adds = list[0] == '+';
    const char *key = list;
    int status;

    if (!adds)
        *fields = (struct fields){0};
    fields->as_read = false;
    for (;;) {
        size_t len;

        key += adds && *key == '+';
        len = strcspn(key, ",");
        status = take_key(fields, format, list, key, len);
        if (status != 0 || key[len] == '\0')
            return status;
        key += len + 1;
    }
}

static void complete(struct fields *fields, unsigned int with)
{
    if (has(fields, find("fichero")) && !has(fields, find("fichero_hex")))
        add_key(fields, "fichero_hex");
    if (has(fields, find("destino")) && !has(fields, find("destino_hex")))
        add_key(fields, "destino_hex");
    if (!has(fields, find("perdidos")))
        add_key(fields, "perdidos");
    if (with & FIELDS_HOST && !has(fields, find("maquina")))
        add_key(fields, "maquina");
}

static void divide(struct fields *fields)
{
    for (size_t i = 0; i < fields->n; i++) {
        fields->facts |= fields->list[i]->facts;
        for (unsigned int code = 0; code < EVENT_RECORDS; code++) {
            struct field_places *of = &fields->of[code];

            if ((fields->list[i]->codes & 1u << code) != 0)
                of->place[of->n++] = (unsigned char)(fields->list[i] - field_table);
        }
    }
}

int fields_choose(struct fields *fields, enum output_format format, unsigned int with,
                  char *const *lists)
{
    int status = 0;

    *fields = (struct fields){0};
    add_usual(fields, format, with);
    fields->as_read = with & FIELDS_AS_READ;
    for (; status == 0 && *lists != NULL; lists++)
        status = take_list(fields, format, *lists);
    if (format != FORMAT_TEXT)
        complete(fields, with);
    divide(fields);
    fields_expect(fields, 1u << EVENT_CLOSE);
    return status;
}

void fields_expect(struct fields *fields, unsigned int codes)
{
    fields->code_columns = 0;
    for (unsigned int code = 0; code < EVENT_RECORDS; code++)
        if (codes & 1u << code && strlen(event_code_name(code)) > fields->code_columns)
            fields->code_columns = strlen(event_code_name(code));
}
