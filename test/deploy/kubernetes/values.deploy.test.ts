/** Wrong and unusual values of the chart: each works, or is refused by a message with the name of the value. */
import { describe, expect, test } from 'vitest';
import { CHART, type Manifest, type Result, runTool, template, theOnly, toolsObstacle } from '../support/kube-tools.ts';

const render = (args: readonly string[], name = 'rbees'): Result => runTool('helm', 'template', name, CHART, ...args);

/** Options of helm, and the words of the message. */
const REFUSED: readonly [string[], ...string[]][] = [
  // A string for a number, and the other way round.
  [['--set-string', 'replicas=3'], '/replicas', 'got string, want integer'],
  [['--set', 'replicas=1.5'], '/replicas'],
  [['--set', 'replicas=-1'], '/replicas', '-1'],
  [['--set', 'shutdownTimeout=0'], '/shutdownTimeout'],
  [['--set-string', 'shutdownTimeout=30s'], '/shutdownTimeout'],
  [['--set', 'gpu.enabled=yes'], '/gpu/enabled', 'want boolean'],
  [['--set', 'env.RBEES_SLOTS=8'], '/env/RBEES_SLOTS', 'want string'],
  [['--set', 'service.port=70000'], '/service/port'],
  // No value: `null` takes the default away.
  [['--set', 'model=null'], "missing property 'model'"],
  [['--set', 'model.source=null'], '/model', "missing property 'source'"],
  [['--set', 'model.source='], '/model/source'],
  [['--set', 'model.source=pvc,model.pvc=null'], '/model', "missing property 'pvc'"],
  [['--set', 'shutdownTimeout=null'], "missing property 'shutdownTimeout'"],
  [['--set', 'auth.secretName=null'], '/auth', "missing property 'secretName'"],
  [['--set', 'resources=null'], "missing property 'resources'"],
  // No model, or one that no worker takes.
  [['--set', 'model.source=disk'], '/model/source', "'embedded', 'pvc', 'pull', 'image'"],
  [['--set', 'model.source=pull,model.pull.name='], '/model/pull/name'],
  [['--set', 'model.source=pull,model.pull.name=Qwen3'], '/model/pull/name', 'Qwen3'],
  [['--set', 'model.source=pull,model.pull.name=org/../name'], '/model/pull/name'],
  [['--set', 'model.source=pvc,model.path=../model'], '/model/path', '../model'],
  [['--set', 'model.source=pvc,model.pvc.claimName='], '/model/pvc/claimName'],
  [['--set', 'model.source=image,model.image.reference='], '/model/image/reference'],
  [['--set-string', 'env.RBEES_MODEL=org/name'], 'RBEES_MODEL'],
  // Secrets that would be variables of the Pod, and a router that needs workers without a token.
  [['--set', 'auth.secretName='], '/auth/secretName'],
  [['--set', 'auth.secretName=My_Secret'], '/auth/secretName', 'My_Secret'],
  [['--set-string', 'env.RBEES_API_TOKEN=abcdefgh'], 'RBEES_API_TOKEN'],
  [['--set-string', 'env.HF_TOKEN=abcdefgh'], 'HF_TOKEN'],
  [['--set-string', 'env.OTEL_EXPORTER_OTLP_HEADERS=a=b'], 'OTEL_EXPORTER_OTLP_HEADERS'],
  [['--set', 'inferencePool.enabled=true'], '/auth/mode'],
  // Names and labels with odd characters, and unknown names.
  [['--set', 'nodeSelector.bad key=v'], 'bad key'],
  [['--set', 'nodeSelector.zone=a b!'], '/nodeSelector/zone', 'a b!'],
  [['--set', 'nodeSelector.zone=true'], '/nodeSelector/zone'],
  [['--set-string', 'env.RBEES SLOTS=8'], 'RBEES SLOTS'],
  [['--set-string', 'env.PATH=/x'], 'PATH'],
  [['--set', 'image.tag=a:b'], '/image/tag', 'a:b'],
  [['--set', 'replicaz=3'], 'replicaz'],
  // Quantities and limits.
  [['--set', 'resources.limits.memory=512MB'], '/resources/limits/memory', '512MB'],
  [['--set', 'resources.limits.memory=512'], '/resources/limits/memory'],
  [['--set', 'resources.limits.cpu=0'], '/resources/limits/cpu'],
  [['--set', 'podDisruptionBudget.maxUnavailable=0'], '/podDisruptionBudget/maxUnavailable'],
  [['--set-string', 'podDisruptionBudget.maxUnavailable=0%'], '/podDisruptionBudget/maxUnavailable'],
  [['--set', 'keda.enabled=true,keda.minReplicas=5,keda.maxReplicas=2'], 'keda.minReplicas: 5', 'keda.maxReplicas: 2'],
  [['--set', 'keda.prometheus=prometheus:9090'], '/keda/prometheus'],
];

describe.skipIf(toolsObstacle !== undefined)(`the chart ${toolsObstacle ?? ''}`, () => {
  test.each(REFUSED)('refuses %j', (args, ...words) => {
    const { code, output } = render(args);
    expect(code).not.toBe(0);
    for (const word of words) expect(output).toContain(word);
  });

  test.each(['a.b', '1worker', 'Worker', 'a_b', 'a'.repeat(54)])('refuses the release name %s, and says so', (name) => {
    const { code, output } = render([], name);
    expect(code).not.toBe(0);
    expect(output).toContain(name);
  });

  test('takes the longest name of helm: no name of an object is longer than 63 characters', () => {
    const { code, output } = render(['--set', 'keda.enabled=true,podMonitor.enabled=true'], 'a'.repeat(53));
    expect(code).toBe(0);
    for (const [, name = ''] of output.matchAll(/^ +name: "?(\S+?)"?$/gm)) expect(name.length).toBeLessThanOrEqual(63);
  });

  test('takes no workers at all, a label with a prefix, and the variables of traces', () => {
    expect(theOnly(template({ replicas: '0' }), 'Deployment').spec).toMatchObject({ replicas: 0 });
    const { code, output } = render([
      ...['--set-string', 'nodeSelector.topology\\.kubernetes\\.io/zone=eu-1a'],
      ...['--set-string', 'env.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318'],
    ]);
    expect(code, output).toBe(0);
    expect(output).toContain('topology.kubernetes.io/zone: eu-1a');
    expect(output).toContain('value: "http://collector:4318"');
  });

  test('uses the values of the chosen source of the model only', () => {
    const podOf = (documents: readonly Manifest[]) => theOnly(documents, 'Deployment').spec;
    const both = template({ 'model.source': 'pull', 'model.pvc.claimName': 'others', 'model.path': 'others' });
    expect(podOf(both)).toEqual(podOf(template({ 'model.source': 'pull' })));
    expect(JSON.stringify(both)).not.toContain('others');
  });
});
