/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

#define CAT "proceso: \"cat\", pid: 100, ppid: 100, tid: 100"
#define NOW "us: 1300000005000000, ns: 5000000000"

static unsigned long user(const void *address)
{
    return (unsigned long)address;
}

/* ---- System calls ---------------------------------------------------------------------------- */

static void opening_calls_are_recognised_by_their_number(void **state)
{
    static const struct {
        long nr;
        int which;
    } calls[] = {
#ifdef __NR_open
        {__NR_open, FM_OPEN},
        {__NR_creat, FM_CREAT},
#endif
        {__NR_openat, FM_OPENAT},
        {__NR_openat2, FM_OPENAT2},
        {__NR_open_by_handle_at, FM_BY_HANDLE},
        {__NR_pidfd_getfd, -1},
        {__NR_recvmsg, -1},
        {-1, -1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(calls); i++) {
        current->regs.nr = calls[i].nr;
        assert_int_equal(fm_which_open(), calls[i].which);
    }
}

#ifdef CONFIG_X86_64
static void system_calls_of_32_bit_programs_have_other_numbers(void **state)
{
    static const struct {
        long nr;
        int which;
    } calls[] = {
        {__NR_ia32_open, FM_OPEN},
        {__NR_ia32_creat, FM_CREAT},
        {__NR_ia32_openat, FM_OPENAT},
        {__NR_ia32_openat2, FM_OPENAT2},
        {__NR_ia32_open_by_handle_at, FM_BY_HANDLE},
        {__NR_open, -1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(calls); i++) {
        current->regs = (struct pt_regs){.nr = calls[i].nr, .ia32 = true};
        assert_int_equal(fm_which_open(), calls[i].which);
    }
    current->regs = (struct pt_regs){.nr = __X32_SYSCALL_BIT | __NR_openat};
    assert_int_equal(fm_which_open(), FM_OPENAT);
}
#endif

static struct fm_call call_of(int which, unsigned long a, unsigned long b, unsigned long c,
                              unsigned long d)
{
    struct fm_call call;

    memset(&call, 0xff, sizeof(call));
    world_call(0, a, b, c, d);
    fm_call_args(&call, which);
    return call;
}

static void call_is(struct fm_call call, int dirfd, const char *name, u64 flags, u64 mode)
{
    assert_int_equal(call.dirfd, dirfd);
    assert_ptr_equal(call.name, name);
    assert_int_equal(call.flags, flags);
    assert_int_equal(call.mode, mode);
}

/* The upper half of a register that holds an int is undefined. */
static void each_call_has_its_own_order_of_arguments(void **state)
{
    const struct open_how how = {.flags = O_PATH, .mode = 0640, .resolve = RESOLVE_IN_ROOT};
    const unsigned long dirt = 0xdeadbeefUL << 32;
    const char *name = "x";
    struct fm_call call;

    (void)state;
    call_is(call_of(FM_OPEN, user(name), dirt | O_CREAT, dirt | 0644, 9), AT_FDCWD, name, O_CREAT,
            0644);
    call_is(call_of(FM_OPENAT, dirt | 7, user(name), dirt | O_RDWR, dirt | 0600), 7, name, O_RDWR,
            0600);
    call_is(call_of(FM_CREAT, user(name), dirt | 0600, 9, 9), AT_FDCWD, name,
            O_CREAT | O_WRONLY | O_TRUNC, 0600);
    call_is(call_of(FM_BY_HANDLE, 7, user(name), dirt | O_RDWR, 9), 7, NULL, O_RDWR, 0);
    call = call_of(FM_OPENAT2, dirt | (u32)AT_FDCWD, user(name), user(&how), sizeof(how));
    call_is(call, AT_FDCWD, name, O_PATH, 0640);
    assert_int_equal(call.resolve, RESOLVE_IN_ROOT);
    call = call_of(FM_OPENAT2, 7, user(name), 1, sizeof(how));
    call_is(call, 7, name, 0, 0);
    assert_int_equal(call.resolve, 0);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Checks the path that fm_path_given() makes of the name.  Returns whether it is complete. */
static bool path_given_is_whole(const char *name, int dirfd, u64 resolve, const char *expected)
{
    struct fm_call call = {.dirfd = dirfd, .name = name, .resolve = resolve};
    struct fm_line line;
    bool whole;

    fm_begin(&line);
    whole = fm_path_given(&line, &call);
    assert_int_equal(line.path_len, strlen(expected));
    assert_memory_equal(line.path, expected, line.path_len);
    return whole;
}

static void a_given_name_is_made_absolute(void **state)
{
    (void)state;
    world_install(current->files, 7, world_file("/srv/www", 0));
    assert_true(path_given_is_whole("/etc/hosts", AT_FDCWD, 0, "/etc/hosts"));
    assert_true(path_given_is_whole("hosts", AT_FDCWD, 0, "/home/u/hosts"));
    assert_true(path_given_is_whole("a/../b", 7, 0, "/srv/www/a/../b"));
    assert_true(path_given_is_whole("/etc/hosts", 7, 0, "/etc/hosts"));
    assert_true(path_given_is_whole("", 7, 0, "/srv/www"));
    assert_true(path_given_is_whole("hosts", 8, 0, "hosts")); /* EBADF */
    current->own_fs.pwd = world_path("/");
    assert_true(path_given_is_whole("hosts", AT_FDCWD, 0, "/hosts"));
    assert_true(path_given_is_whole("", AT_FDCWD, 0, "/"));
    current->fs = NULL;
    assert_true(path_given_is_whole("hosts", AT_FDCWD, 0, "hosts"));
}

static void with_resolve_in_root_a_name_starts_at_the_directory(void **state)
{
    (void)state;
    world_install(current->files, 7, world_file("/srv/www", 0));
    assert_true(path_given_is_whole("//etc/hosts", 7, RESOLVE_IN_ROOT, "/srv/www/etc/hosts"));
    assert_true(path_given_is_whole("/", 7, RESOLVE_IN_ROOT, "/srv/www"));
}

static void a_name_that_is_not_in_memory_is_incomplete(void **state)
{
    (void)state;
    assert_false(path_given_is_whole(NULL, AT_FDCWD, 0, ""));
}

static void a_name_that_is_too_long_is_incomplete(void **state)
{
    static char name[FM_PATH + 2], expected[2 * FM_PATH];

    (void)state;
    memset(name, 'x', FM_PATH - 1);
    snprintf(expected, sizeof(expected), "/home/u/%s", name);
    assert_true(path_given_is_whole(name, AT_FDCWD, 0, expected));
    name[FM_PATH - 1] = 'x';
    assert_false(path_given_is_whole(name, AT_FDCWD, 0, expected));
    name[0] = '/';
    name[FM_PATH - 1] = '\0';
    assert_true(path_given_is_whole(name, AT_FDCWD, 0, name));
    name[FM_PATH - 1] = 'x';
    memcpy(expected, name, FM_PATH - 1);
    expected[FM_PATH - 1] = '\0';
    assert_false(path_given_is_whole(name, AT_FDCWD, 0, expected));
}

/* The name stays relative, which shows that something is missing. */
static void a_directory_that_is_too_long_is_left_out(void **state)
{
    static char dir[FM_PATH + 2];

    (void)state;
    memset(dir, 'x', FM_PATH);
    dir[0] = '/';
    current->own_fs.pwd = world_path(dir);
    assert_false(path_given_is_whole("hosts", AT_FDCWD, 0, "hosts"));
}

/* By chdir(2) in another thread. */
static void a_directory_that_changed_meanwhile_is_read_again(void **state)
{
    (void)state;
    kernel_seq_retries = 2;
    assert_true(path_given_is_whole("hosts", AT_FDCWD, 0, "/home/u/hosts"));
    assert_int_equal(kernel_seq_retries, 0);
}

/* ---- Opens ----------------------------------------------------------------------------------- */

static void opens_with(unsigned int fd, const char *path, unsigned long flags)
{
    struct file *file = world_file(path, 0);

    world_call(__NR_openat, (unsigned long)AT_FDCWD, user(path), flags, 0);
    fm_installing(fd, file);
    world_install(current->files, fd, file);
}

static void opens(unsigned int fd, const char *path)
{
    opens_with(fd, path, O_RDWR);
}

static void an_open_is_reported_when_its_descriptor_is_installed(void **state)
{
    (void)state;
    opens(5, "/etc/hosts");
    lines_are("{codigo: \"open\", " CAT ", tabla: %u, fichero: \"/etc/hosts\", descriptor: 5, " NOW
              ", flags: 2}\n",
              fm_number(fm_my_table()));
    assert_true(fm_is_recorded(fm_my_table(), 5));
}

/* d_path() names it "/", which says nothing of what the path filter includes. */
static void an_open_of_a_file_that_no_mount_shows_counts_as_lost_if_paths_are_filtered(void **state)
{
    struct dentry root = {.name = "/"};
    struct vfsmount mount = {.mnt_root = &root};
    struct file *file = world_file("/", 0);

    (void)state;
    file->f_path.mnt = &mount;
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("/x"), O_RDWR, 0);
    fm_installing(5, file);
    assert_non_null(strstr(lines(), "fichero: \"/\", descriptor: 5"));
    fm_prefix_add("/x", 2, true);
    fm_installing(6, file);
    no_lines();
    assert_int_equal(atomic_read(&fm_lost), 1);
    atomic_set(&fm_lost, 0);
    mount.mnt_root = file->f_path.dentry;
    fm_installing(7, file);
    assert_int_equal(atomic_read(&fm_lost), 0);
}

static void an_open_has_the_device_and_the_inode_if_asked(void **state)
{
    struct super_block super = {.s_dev = 259 << 20 | 1048575};
    struct inode inode = {.i_sb = &super, .i_ino = 733};
    struct file *file = world_file("/x", 0);

    (void)state;
    file->f_inode = &inode;
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("/x"), O_RDWR, 0);
    fm_installing(5, file);
    assert_null(strstr(lines(), "inodo"));
    fm_facts = 1 << FM_FILE;
    fm_installing(6, file);
    assert_non_null(strstr(lines(), ", mayor: 259, menor: 1048575, inodo: 733, fichero: \"/x\""));
    fm_closing(6);
    assert_null(strstr(lines(), "inodo"));
}

/* An open of path by this name. */
static void opens_by_name(const char *path, const char *name)
{
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user(name), O_RDWR, 0);
    fm_installing(5, world_file(path, 0));
}

static void an_open_has_the_name_that_was_given_if_asked(void **state)
{
    (void)state;
    opens_by_name("/etc/hosts", "../etc/hosts");
    assert_null(strstr(lines(), "pedido"));
    fm_facts = 1 << FM_GIVEN;
    opens_by_name("/etc/hosts", "../etc/h\n\"s");
    assert_non_null(strstr(
        lines(), ", fichero: \"/etc/hosts\", pedido: \"../etc/h\\u000a\\\"s\", descriptor: 5"));
    opens_by_name("/etc/hosts", NULL); /* not in memory */
    assert_null(strstr(lines(), "pedido"));
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("none"), O_RDWR, 0);
    fm_open_returned(-ENOENT);
    assert_non_null(
        strstr(lines(), ", fichero: \"/home/u/none\", pedido: \"none\", descriptor: -2"));
}

/* A name of any length is whole, or left out where the line has no room for it. */
static void names_of_every_length_are_whole_or_left_out(void **state)
{
    static char path[FM_PATH], name[FM_PATH + 1], expected[FM_MESSAGE];
    size_t len, step;
    unsigned int whole = 0;

    (void)state;
    fm_facts = 1 << FM_GIVEN;
    memset(path, 'p', sizeof(path) - 1);
    for (step = 0; step < 8; step++) {
        bool plain = step % 2 == 0;

        path[step / 2 * 1364 + 1] = '\0';
        path[0] = '/';
        for (len = 1; len <= FM_PATH; len += 91) {
            memset(name, plain ? 'n' : '\n', len);
            name[len] = '\0';
            opens_by_name(path, name);
            const char *text = lines(), *at = strstr(text, ", pedido: \"");

            assert_non_null(strstr(text, "\", descriptor: 5, "));
            if (at == NULL)
                continue;
            snprintf(expected, sizeof(expected), "%s\", descriptor", name);
            if (plain)
                assert_memory_equal(at + 11, expected, strlen(expected));
            whole++;
        }
        path[step / 2 * 1364 + 1] = 'p';
    }
    assert_true(whole > 120);
    assert_int_equal(atomic_read(&fm_lost), 0);
}

static void the_mode_is_reported_if_the_call_may_create_a_file(void **state)
{
    struct file *file = world_file("/x", 0);

    (void)state;
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("/x"), O_CREAT, S_IFREG | 0640);
    fm_installing(5, file);
    lines_are("{codigo: \"open\", " CAT ", tabla: %u, fichero: \"/x\", descriptor: 5, " NOW
              ", flags: 64, modo: 416}\n",
              fm_number(fm_my_table()));
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("/"), __O_TMPFILE, 07777);
    fm_installing(6, file);
    assert_non_null(strstr(lines(), ", modo: 4095}"));
}

static void descriptors_that_other_calls_install_are_not_reported(void **state)
{
    (void)state;
    world_call(__NR_pidfd_getfd, 0, 0, 0, 0);
    fm_installing(5, world_file("/x", 0));
    no_lines();
    assert_null(fm_my_table());
    fm_initial = true;
    fm_installing(5, world_file("/x", 0));
    no_lines();
    assert_non_null(fm_find_slot(fm_key(fm_my_table(), 5) | FM_BLOCKED));
}

/* What receive_fd() does in any call.  Its entry may be seen twice. */
static void begins_to_receive(struct file *file)
{
    world_call(__NR_recvmsg, 0, 0, 0, 0);
    fm_receiving(file);
    fm_receiving(file);
}

static void receives(unsigned int fd, struct file *file)
{
    begins_to_receive(file);
    fm_installing(fd, file);
    fm_receive_returned();
}

static void a_received_descriptor_is_reported_with_its_motivo(void **state)
{
    struct file *file = world_file("/x", 0);

    (void)state;
    file->f_flags = O_RDWR | __O_TMPFILE | O_CLOEXEC;
    receives(5, file);
    lines_are("{codigo: \"open\", " CAT ", tabla: %u, fichero: \"/x\", descriptor: 5, " NOW
              ", flags: 4259842, motivo: \"received\"}\n",
              fm_number(fm_my_table()));
    assert_true(fm_is_recorded(fm_my_table(), 5));
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    world_set_bit(current->files->close_on_exec, 6, true);
    receives(6, file);
    assert_non_null(strstr(lines(), ", flags: 4784130, motivo"));
    receives(7, world_file("socket:[5]", 0));
    no_lines();
    assert_false(fm_is_recorded(fm_my_table(), 7));
}

static void only_the_received_file_is_reported(void **state)
{
    (void)state;
    begins_to_receive(world_file("/x", 0));
    fm_installing(5, world_file("/y", 0));
    no_lines();
}

/* receive_fd() has failed, for example with EMFILE: the file may be freed, its address reused. */
static void a_file_that_could_not_be_received_leaves_nothing(void **state)
{
    struct file *file = world_file("/x", 0);

    (void)state;
    begins_to_receive(file);
    fm_receive_returned();
    assert_int_equal(atomic_read(&fm_n_flights), 0);
    fm_installing(5, file);
    no_lines();
}

static void a_received_descriptor_without_a_free_slot_is_lost(void **state)
{
    (void)state;
    for (u32 try = 0; try < FM_FLIGHT_TRIES; try++)
        fm_flight_at(try)->task = (struct task_struct *)-1;
    fm_receiving(world_file("/x", 0));
    assert_int_equal(atomic_read(&fm_lost), 1);
}

/* The close of the older file was missed.  The new file has no line, so filemon does not learn of
 * it. */
static void an_unwanted_open_removes_an_older_record(void **state)
{
    (void)state;
    opens(5, "/etc/hosts");
    lines();
    fm_prefix_add("/etc", 4, true);
    opens(5, "/usr/x");
    no_lines();
    assert_false(fm_is_recorded(fm_my_table(), 5));
}

/* The access mode 3 is that of open(2) for ioctl(2) alone. */
static void with_writes_only_opens_for_writing_are_reported(void **state)
{
    static const unsigned long others[] = {O_RDONLY, O_RDONLY | O_TRUNC, 3, O_PATH | O_RDWR};
    size_t i;

    (void)state;
    fm_writes = true;
    for (i = 0; i < ARRAY_SIZE(others); i++) {
        opens_with(5, "/x", others[i]);
        no_lines();
        assert_false(fm_is_recorded(fm_my_table(), 5));
    }
    opens_with(5, "/x", O_WRONLY);
    assert_non_null(strstr(lines(), "flags: 1}"));
    opens_with(6, "/x", O_RDWR | O_CLOEXEC);
    assert_non_null(strstr(lines(), "flags: 524290}"));
}

static void opens_are_not_reported_if_they_are_not_asked_for(void **state)
{
    (void)state;
    fm_no_opens = true;
    opens(5, "/x");
    no_lines();
    assert_false(fm_is_recorded(fm_my_table(), 5));
}

static void with_users_only_their_opens_are_reported(void **state)
{
    (void)state;
    fm_user_add((kuid_t){33});
    fm_user_add((kuid_t){7});
    opens(5, "/x");
    no_lines();
    current->euid = (kuid_t){7};
    opens(5, "/x");
    assert_non_null(strstr(lines(), "descriptor: 5"));
    current->euid = (kuid_t){33};
    opens(6, "/x");
    assert_non_null(strstr(lines(), "descriptor: 6"));
}

static void with_groups_only_opens_in_them_or_below_are_reported(void **state)
{
    struct cgroup top = {.id = 1}, group = {5000000000, &top}, inner = {12, &group};
    struct cgroup other = {13, &top};

    (void)state;
    fm_all = true;
    fm_unmark(100);
    fm_group_add(99);
    fm_group_add(5000000000);
    current->cgroup = &other;
    opens(5, "/x");
    current->cgroup = &top;
    opens(5, "/x");
    no_lines();
    current->cgroup = &group;
    opens(5, "/x");
    assert_non_null(strstr(lines(), "descriptor: 5"));
    current->cgroup = &inner;
    opens(6, "/x");
    assert_non_null(strstr(lines(), "descriptor: 6"));
}

/* -p and -n with -g: their processes have marks. */
static void with_groups_marked_processes_are_reported_too(void **state)
{
    struct cgroup top = {.id = 1};

    (void)state;
    fm_all = true;
    fm_group_add(99);
    current->cgroup = &top;
    opens(5, "/x");
    assert_non_null(strstr(lines(), "descriptor: 5"));
}

static void an_open_whose_path_is_too_long_is_lost(void **state)
{
    static char path[STP_BUFFER_SIZE];

    (void)state;
    memset(path, 'x', sizeof(path) - 2 * FM_ROOM);
    path[0] = '/';
    opens(5, path);
    no_lines();
    assert_int_equal(atomic_read(&fm_lost), 1);
    path[sizeof(path) - 2 * FM_ROOM - 1] = '\0';
    opens(6, path);
    assert_int_equal(atomic_read(&fm_lost), 0);
    assert_non_null(strstr(lines(), "descriptor: 6"));
}

static void an_open_without_room_for_its_table_is_lost(void **state)
{
    (void)state;
    for (int i = 0; i < FM_TABLE_ROW; i++)
        fm_table_row(current->files)[i].files = (struct files_struct *)-1;
    opens(5, "/x");
    no_lines();
    assert_int_equal(atomic_read(&fm_lost), 1);
}

/* ---- Opens that fail ------------------------------------------------------------------------- */

static void fails(int result)
{
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("hosts"), O_RDWR, 0);
    fm_open_returned(result);
}

static void a_failed_open_is_reported_with_the_name_given(void **state)
{
    (void)state;
    fails(3);
    no_lines();
    fails(-ENOENT);
    lines_are("{codigo: \"fail\", " CAT ", fichero: \"/home/u/hosts\", descriptor: -2, " NOW
              ", flags: 2}\n");
}

static void a_failed_open_is_reported_if_it_is_asked_for(void **state)
{
    (void)state;
    fm_user_add((kuid_t){33});
    fails(-ENOENT);
    no_lines();
    current->euid = (kuid_t){33};
    fails(-ENOENT);
    assert_non_null(strstr(lines(), "descriptor: -2"));
    fm_writes = true;
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user("hosts"), O_RDONLY, 0);
    fm_open_returned(-ENOENT);
    no_lines();
}

static void an_incomplete_name_is_marked(void **state)
{
    (void)state;
    world_call(__NR_openat, (unsigned long)AT_FDCWD, user(NULL), O_RDWR, 0);
    fm_open_returned(-ENOENT);
    lines_are("{codigo: \"fail\", " CAT ", fichero: \"\", descriptor: -2, " NOW
              ", flags: 2, cortado: 1}\n");
    fm_open_returned(-EFAULT); /* the call had no name, so nothing is missing */
    lines_are("{codigo: \"fail\", " CAT ", fichero: \"\", descriptor: -14, " NOW ", flags: 2}\n");
}

static struct ksignal handler(unsigned long flags)
{
    struct ksignal signal;

    signal.ka.sa.sa_flags = flags;
    return signal;
}

/* Which of the kernel's internal errors become EINTR when a signal handler runs. */
static void an_interrupted_open_fails_only_if_the_program_sees_eintr(void **state)
{
    static const struct {
        int result;
        unsigned long flags;
        bool fails;
    } cases[] = {
        {-ERESTARTSYS, 0, true},           {-ERESTARTSYS, SA_RESTART, false},
        {-ERESTARTNOINTR, 0, false},       {-ERESTARTNOINTR, SA_RESTART, false},
        {-ERESTARTNOHAND, 0, true},        {-ERESTARTNOHAND, SA_RESTART, true},
        {-ERESTART_RESTARTBLOCK, 0, true}, {-ERESTART_RESTARTBLOCK, SA_RESTART, true},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ksignal signal = handler(cases[i].flags);

        fails(cases[i].result);
        no_lines();
        fm_signalled(&signal);
        if (cases[i].fails)
            lines_are("{codigo: \"fail\", " CAT ", fichero: \"/home/u/hosts\", descriptor: -4, " NOW
                      ", flags: 2}\n");
        else
            no_lines();
        assert_int_equal(atomic_read(&fm_n_flights), 0);
        fm_signalled(&signal);
        no_lines();
    }
}

/* As after SIGSTOP and SIGCONT: no handler ran. */
static void a_restarted_open_is_no_failure(void **state)
{
    struct ksignal signal = handler(0);

    (void)state;
    fails(-ERESTARTSYS);
    fails(3);
    fm_signalled(&signal);
    no_lines();
    fm_begin_flight(); /* as of a dup2 */
    fm_signalled(&signal);
    no_lines();
}

static void an_interrupted_open_without_a_free_slot_is_lost(void **state)
{
    (void)state;
    for (u32 try = 0; try < FM_FLIGHT_TRIES; try++)
        fm_flight_at(try)->task = (struct task_struct *)-1;
    fails(-ERESTARTSYS);
    assert_int_equal(atomic_read(&fm_lost), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        script_test(opening_calls_are_recognised_by_their_number),
#ifdef CONFIG_X86_64
        script_test(system_calls_of_32_bit_programs_have_other_numbers),
#endif
        script_test(each_call_has_its_own_order_of_arguments),
        script_test(a_given_name_is_made_absolute),
        script_test(with_resolve_in_root_a_name_starts_at_the_directory),
        script_test(a_name_that_is_not_in_memory_is_incomplete),
        script_test(a_name_that_is_too_long_is_incomplete),
        script_test(a_directory_that_is_too_long_is_left_out),
        script_test(a_directory_that_changed_meanwhile_is_read_again),
        script_test(an_open_is_reported_when_its_descriptor_is_installed),
        script_test(an_open_of_a_file_that_no_mount_shows_counts_as_lost_if_paths_are_filtered),
        script_test(an_open_has_the_device_and_the_inode_if_asked),
        script_test(an_open_has_the_name_that_was_given_if_asked),
        script_test(names_of_every_length_are_whole_or_left_out),
        script_test(the_mode_is_reported_if_the_call_may_create_a_file),
        script_test(descriptors_that_other_calls_install_are_not_reported),
        script_test(a_received_descriptor_is_reported_with_its_motivo),
        script_test(only_the_received_file_is_reported),
        script_test(a_file_that_could_not_be_received_leaves_nothing),
        script_test(a_received_descriptor_without_a_free_slot_is_lost),
        script_test(an_unwanted_open_removes_an_older_record),
        script_test(with_writes_only_opens_for_writing_are_reported),
        script_test(opens_are_not_reported_if_they_are_not_asked_for),
        script_test(with_users_only_their_opens_are_reported),
        script_test(with_groups_only_opens_in_them_or_below_are_reported),
        script_test(with_groups_marked_processes_are_reported_too),
        script_test(an_open_whose_path_is_too_long_is_lost),
        script_test(an_open_without_room_for_its_table_is_lost),
        script_test(a_failed_open_is_reported_with_the_name_given),
        script_test(a_failed_open_is_reported_if_it_is_asked_for),
        script_test(an_incomplete_name_is_marked),
        script_test(an_interrupted_open_fails_only_if_the_program_sees_eintr),
        script_test(a_restarted_open_is_no_failure),
        script_test(an_interrupted_open_without_a_free_slot_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
