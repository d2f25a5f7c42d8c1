// Package e2e tests the whole system from outside, with real clients and a real backend. Everything is in its test files; where the
// system is, the environment says:
//
//	nothing            a local stack in this process: the functions' binaries, the gateway, the embedded table
//	DYNAMODB_ENDPOINT  the same on a DynamoDB that runs already, such as DynamoDB Local
//	SAM_CLI_PYTHON     the same with the functions behind SAM CLI's Invoke service: the python of a virtual environment that has SAM
//	                   CLI (.tools/sam-cli/bin/python); it wants .build/sam and DYNAMODB_ENDPOINT
//	LAMBDA_ENDPOINT    the same with the functions behind an Invoke API that runs already. It reaches the stack at WS_PORT and
//	                   DYNAMODB_ENDPOINT, and its table is TABLE_NAME, without them 3001 and realtime; its functions have
//	                   PRESENCE_TTL_SECONDS=1, so that every sweep verifies
//	E2E_URL            a deployed stage: the URL that clients connect to. Credentials and region are the environment's,
//	                   E2E_PUBLISH_FUNCTION and E2E_CONTROL_FUNCTION name its functions, and JWT_SECRET is its key, with
//	                   JWT_ISSUER and JWT_AUDIENCE if it wants them
//
// TestFaults plays with everything that FAULTS can do to the local stack; -args -fault-seed 7 plays another game, -fault-rounds 20 a longer
// one.
//
// Tests that need more than there is, a fault for instance that AWS does not have to order, are left out and say why.
package e2e
