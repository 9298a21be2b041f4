import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { startChild } from '../support/children.js';
import { ROOT, stripchart } from '../support/paths.js';
import { until } from '../support/until.js';

/** How long the machine may take to start, ms. */
const UP_WITHIN = 30_000;

/** What the machine may not do to this one: set its clock and its network, load modules, and so on. */
const WITHOUT =
  'sys_module,sys_time,sys_rawio,sys_boot,syslog,net_admin,audit_control,audit_read,audit_write,mac_admin';

/**
 * Starts a machine that runs systemd, and has it ended with the scene. It shares this machine's kernel, programs (/usr)
 * and network; it has processes, mounts and units of its own, and in /repository what the repository gives to a user:
 * deploy, docs and the binary. Its root is in memory; /home and /tmp are disks.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {readonly string[]} [packages] files for /repository/packages; with them, dpkg works, in an empty database
 */
export async function startMachine(scene, packages = []) {
  if (process.getuid?.() !== 0)
    throw new Error(
      'a machine under systemd has processes and mounts of its own: only root may; run the tests as root',
    );
  const root = scene.path('machine');
  await mkdir(join(root, 'give', 'bin'), { recursive: true });
  for (const folder of ['deploy', 'docs'])
    await cp(join(ROOT, folder), join(root, 'give', folder), { recursive: true });
  await copyFile(stripchart(), join(root, 'give', 'bin', 'stripchart'));

  for (const path of packages)
    await cp(path, join(root, 'give', 'packages', basename(path)), { recursive: true });

  const group = await ownGroup();
  await mkdir(group).catch(error => {
    throw new Error(`a machine under systemd needs a control group (v2) of its own: ${error.message}`);
  });
  const spaces = ['--mount', '--pid', '--fork', '--kill-child', '--ipc', '--uts', '--cgroup'];
  const bounds = `--bounding-set=${WITHOUT.split(',').map(what => `-${what}`)}`;
  const script = `echo $$ > "${group}/cgroup.procs" && exec "$@"`;
  const become = ['bash', join(ROOT, 'e2e', 'deploy', 'machine.sh'), root, packages.length > 0 ? 'dpkg' : ''];
  const { child, exited } = startChild('/bin/sh', [
    // However this process ends, the machine ends with it.
    ...[
      '-c',
      script,
      'sh',
      'setpriv',
      '--pdeathsig',
      'KILL',
      'unshare',
      ...spaces,
      'setpriv',
      bounds,
      ...become,
    ],
  ]);
  let said = '';
  child.stderr?.on('data', text => {
    said += text;
  });
  let isOver = false;
  exited.then(() => {
    isOver = true;
  });
  scene.closing(async () => {
    child.kill('SIGKILL'); // and with it the machine's process 1, and with that all others
    await exited;
    await removeGroups(group);
    await rm(root, { recursive: true });
  });

  const machine = new Machine();
  await until(
    'the machine to be up',
    async () => {
      if (isOver) throw new Error(`the machine did not start, or ended:\n${said}`);
      machine.init ||= await onlyChild(child.pid ?? 0);
      return (
        machine.init && /^(running|degraded)/.test(await machine.run('systemctl is-system-running', true))
      );
    },
    UP_WITHIN,
  );
  return machine;
}

export class Machine {
  /** The number of its process 1 on this machine. */
  init = 0;

  /**
   * What startChild takes to run a command in the machine. A signal to it ends the command, too.
   *
   * @param {string} command for the shell, in /repository
   * @returns {[string, string[]]}
   */
  enter(command) {
    const script = `cd /repository 2>/dev/null; ${command}`;
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const environment = ['env', '-i', `PATH=${path}`, 'HOME=/root', 'SYSTEMD_PAGER=', 'SYSTEMD_COLORS=0'];
    return ['nsenter', ['-t', `${this.init}`, '-a', ...environment, '/bin/sh', '-c', script]];
  }

  /**
   * Runs a command as root, and returns what it prints.
   *
   * @param {string} command
   * @param {boolean} [mayFail]
   */
  async run(command, mayFail = false) {
    try {
      return (await promisify(execFile)(...this.enter(command))).stdout;
    } catch (error) {
      const { stdout, stderr, message } = /** @type {any} */ (error);
      if (mayFail) return `${stdout}`;
      throw new Error(`${message}\n${stdout}${stderr}`);
    }
  }

  /**
   * What systemd knows of a unit.
   *
   * @param {string} unit
   * @returns {Promise<UnitState>}
   */
  async unit(unit) {
    const shown = await this.run(`systemctl show ${unit} -p MainPID,NRestarts,ActiveState,StatusText`);
    const of = (/** @type {string} */ name) => new RegExp(`^${name}=(.*)$`, 'm').exec(shown)?.[1] ?? '';
    return {
      pid: Number(of('MainPID')),
      restarts: Number(of('NRestarts')),
      active: of('ActiveState'),
      status: of('StatusText'),
    };
  }

  /**
   * Sets lines of a unit's [Service] section, until the machine ends.
   *
   * @param {string} unit
   * @param {...string} lines
   */
  async override(unit, ...lines) {
    const folder = `/run/systemd/system/${unit}.service.d`;
    const text = ['[Service]', ...lines].join('\\n');
    await this.run(
      `mkdir -p ${folder} && printf '${text}\\n' > ${folder}/test.conf && systemctl daemon-reload`,
    );
  }
}

/** A control group below the one that this process is in, which no group of another machine can be mistaken for. */
async function ownGroup() {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const place = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  const path = /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1];
  if (!place || !path)
    throw new Error('a machine under systemd needs control groups v2, which are not mounted here');
  return join(place, path, `stripchart-e2e-${process.pid}-${Math.floor(1e6 * Math.random())}`);
}

/**
 * Removes a group and those below it, once the last of their processes is gone.
 *
 * @param {string} group
 */
async function removeGroups(group) {
  const remove = `find "$1" -depth -type d -exec rmdir {} +`;
  await until('the control groups of the machine to be empty', () =>
    promisify(execFile)('/bin/sh', ['-c', remove, 'sh', group]).then(
      () => true,
      () => false,
    ),
  );
}

/** @param {number} pid */
async function onlyChild(pid) {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return Number(children.trim());
}

/**
 * @typedef {{ readonly pid: number, readonly restarts: number, readonly active: string, readonly status: string }} UnitState
 */
