# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What can break, and what is promised then
#
# Whatever breaks, the last good state is there: in the net, which pauses rather than loses; in its dead letters; in the last
# checkpoint. Each row names the test that breaks it.
#
# | fault | promise | test |
# |---|---|---|
# | a node raises | its epoch is retried or becomes a dead letter; the rest goes on | `test_node_failures.test_the_rest_goes_on_at_the_next_start` |
# | a node raises `KeyboardInterrupt` or `SystemExit` | the epoch is startable again, or a dead letter if it had acted | `test_node_failures.test_an_interrupt_leaves_start_as_it_is` |
# | a node raises another `BaseException` | a failure as any other | `test_node_failures.test_other_base_exceptions_are_failures` |
# | an exception whose text or pickling breaks | it is told all the same | `test_pools.test_an_exception_that_cannot_travel_arrives_all_the_same` |
# | a value function raises | the packet stays, its consumer fails | `test_node_failures.test_a_value_function_that_fails_fails_the_consumer` |
# | a failure function or a callback raises | chained and logged, the verdict stays | `test_on_error.test_what_those_functions_raise_is_chained_and_logged` |
# | a start function raises | those before it are stopped, nothing runs | `test_background.test_a_start_function_that_fails_ends_the_run` |
# | a node hangs | its context is dead after `timeout`, the net goes on | `test_timeouts.test_the_net_goes_on_while_the_late_function_still_runs` |
# | a worker is killed, hangs, runs out of memory | it costs its own epoch, and is replaced | `test_worker_death.test_the_crash_matrix` |
# | workers are killed at random | nothing is lost or done twice | `test_worker_death.test_workers_are_killed_at_random` |
# | a worker that dies again and again | three deaths are enough | `test_worker_death.test_three_deaths_are_enough` |
# | the parent is killed | its workers end | `test_worker_death.test_when_the_parent_is_killed_its_workers_end` |
# | the parent is killed | it goes on from the last checkpoint | `test_autosave.test_a_killed_process_goes_on_from_the_last_one` |
# | SIGINT, SIGTERM in each phase | pause, then cancel; nothing is torn | `test_signals.test_a_signal_in_every_phase` |
# | a signal at any moment | nothing is lost or done twice | `test_signals.test_at_random_moments_nothing_is_lost_or_done_twice` |
# | the disk is full: checkpoint | an error, the old one stays, no rubbish | `test_checkpoint_files.test_a_disk_that_fails_at_any_call_leaves_the_old_one_and_no_rubbish` |
# | the disk is full: a net that saves itself | it goes on, and says so | `test_autosave.test_a_disk_that_takes_nothing_stops_no_net` |
# | the disk is full: dead letters | the entry is kept in memory | `test_dead_letters.test_a_full_disk_costs_the_line_and_nothing_else` |
# | the disk is full: history | the net goes on, and counts what is missing | `test_history_file.test_a_disk_that_is_full` |
# | killed in the middle of a save | the old or the new one loads | `test_checkpoint_files.test_killed_at_any_call_the_old_or_the_new_one_loads` |
# | the power is cut in the middle of a save | the old or the new one loads; once it has returned, the new one | `test_checkpoint_files.test_when_the_power_is_cut_the_old_or_the_new_one_loads` |
# | Ctrl-C in the middle of a save | the old or the new one loads | `test_checkpoint_files.test_ctrl_c_at_any_call_leaves_one_of_the_two_and_no_rubbish` |
# | two processes save to one folder | one after the other | `test_checkpoint_files.test_two_processes_that_save_and_one_that_reads` |
# | a checkpoint is read during a save | the old or the new one is read | `test_checkpoint_files.test_a_reader_at_any_moment_of_a_save_gets_the_old_or_the_new_one` |
# | a process is forked off in the middle of a save | nobody waits for it, nor it for anybody | `test_checkpoint_files.test_a_process_that_was_forked_off_in_the_middle_of_a_save_holds_nobody_up` |
# | something else is where a checkpoint is to be | refused, nothing changes | `test_checkpoint_files.test_something_else_is_not_written_over` |
# | files of yours are in a checkpoint, or beside it | they stay | `test_checkpoint_files.test_what_stands_beside_and_inside_stays` |
# | a checkpoint is torn, cut or flipped | found before anything is unpickled | `test_checkpoint_files.test_any_damage_is_found_before_anything_is_unpickled` |
# | a checkpoint of a newer version | it names the version | `test_checkpoint_files.test_a_newer_format_says_which_version_to_use` |
# | a checkpoint of an older version | it loads | `test_checkpoint_files.test_an_old_one_loads` |
# | a pickle that means harm | with a key, never unpickled | `test_checkpoint_files.test_who_changes_a_signed_one_needs_the_key` |
# | a history file is cut anywhere | the whole lines are read | `test_history_file.test_cut_at_every_byte_of_the_last_three_lines` |
# | a dead letter file is cut | the whole lines are read | `test_dead_letters.test_a_torn_last_line_is_warned_of_and_cut_off` |
# | a TOML text that means harm | refused, nothing imported | `test_dsl_malicious.test_a_text_that_means_harm_is_refused` |
# | a net that never blocks | `max_epochs` pauses it | `test_limits.test_a_net_that_would_run_for_ever_is_paused` |
# | a node that makes packets without end | `max_epochs` or slots bound it, in 512 MB | `faults.test_floods.test_a_flood_is_bounded` |
# | the clock is set back | waits and limits do not see it | `faults.test_clocks.test_a_clock_that_is_set_back_changes_nothing` |
# | stdout is closed | what is captured is safe | `test_logs.test_a_stdout_that_takes_nothing` |
# | two start at once | one runs, the other is refused | `test_background.test_of_eight_that_start_at_once_one_runs` |
# | no more threads | a failed attempt | `test_timeouts.test_a_thread_that_cannot_be_started_is_a_failed_attempt` |
#
# A test reads this table and looks for each of them.
