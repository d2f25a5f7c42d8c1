// post.js URL N SECONDS BYTES posts with the AWS SDK for JavaScript, N posts in flight, and prints a line of JSON as the other
// contestants of infra/bench/poster have it. Credentials and region are the environment's.
import http from 'node:http';
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

const [endpoint, inFlight, seconds, bytes] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const httpAgent = new http.Agent({ keepAlive: true, maxSockets: inFlight });
const client = new ApiGatewayManagementApiClient({ endpoint, requestHandler: { httpAgent } });
const Data = Buffer.alloc(bytes, 'm');

async function postAll(until) {
  let posts = 0;
  const one = async (i) => {
    const ConnectionId = `L0SM9cOFvHcCIh${String(i).padStart(2, '0')}=`;
    while (performance.now() < until) {
      await client.send(new PostToConnectionCommand({ ConnectionId, Data }));
      posts += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, i) => one(i)));
  return Math.max(posts, 1);
}

await postAll(performance.now() + 1000 * Math.max(seconds / 10, 0.5)); // the compiler takes longer to warm up than Go
const cpu = process.cpuUsage();
const start = performance.now();
const posts = await postAll(start + 1000 * seconds);
const took = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ name: 'node-sdk', posts_per_second: posts / took, cpu_us_per_post: (user + system) / posts }));
httpAgent.destroy();
